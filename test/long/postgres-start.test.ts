/** The forms of naming a schema, and the encodings, that test/postgres-start.test.ts leaves out. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FORMS, itHasAllTablesAndServes } from '../postgres-start/forms.ts'
import { itIsRefusedWithEncoding } from '../postgres-start/refused.ts'
import { mistakeOf, spawnProgram, startServer } from '../support/servers.ts'
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

  it('because the password is wrong ends the program with the sentence, and 1', async (t) => {
    const url = new URL(await cluster.createDatabase())
    url.password = 'a wrong password'
    const sentence = await mistakeOf(startServer(t, {}, url.href))

    const program = spawnProgram(t, {}, url.href)

    assert.equal(await program.exited, 1)
    assert.equal(program.errors(), `${sentence}\n`)
  })
})
