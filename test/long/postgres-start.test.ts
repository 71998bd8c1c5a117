/** The forms of naming a schema, and the encodings, that test/postgres-start.test.ts leaves out. */
import { after, before, describe } from 'node:test'
import { FORMS, itHasAllTablesAndServes } from '../postgres-start/forms.ts'
import { itIsRefusedWithEncoding } from '../postgres-start/refused.ts'
import { type SharedCluster, shareCluster } from '../support/shared-cluster.ts'

let cluster: SharedCluster
before(async () => {
  cluster = await shareCluster()
})
after(() => cluster.stop())

describe('the schema', () => {
  itHasAllTablesAndServes(
    FORMS.filter(({ isShort }) => !isShort),
    () => cluster,
  )
})

describe('a database that must not be served', () => {
  for (const encoding of ['SQL_ASCII', 'EUC_JP']) itIsRefusedWithEncoding(encoding, () => cluster)
})
