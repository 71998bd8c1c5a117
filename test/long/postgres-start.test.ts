/** The ways to name a schema that test/postgres-start.test.ts leaves out. */
import { after, before, describe } from 'node:test'
import { FORMS, itHasAllTablesAndServes } from '../postgres-start/forms.ts'
import { type Cluster, startCluster } from '../support/postgres.ts'

let cluster: Cluster
before(async () => {
  cluster = await startCluster()
})
after(() => cluster.stop())

describe('the schema', () => {
  itHasAllTablesAndServes(
    FORMS.filter(({ isShort }) => !isShort),
    () => cluster,
  )
})
