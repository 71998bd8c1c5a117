/** The location of the tables, for each form of naming a schema. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Client } from '../support/client.ts'
import { startNodes } from '../support/nodes.ts'
import { startServer } from '../support/servers.ts'
import type { SharedCluster } from '../support/shared-cluster.ts'
import { inDatabase, serves } from './serves.ts'

interface Form {
  /** The form of the name. */
  what: string
  schema: string
  /** The preparation of the database. */
  prepare?: string[]
  /** The suffix of the URL. */
  query?: string
  /** Whether it is in `npm test`, or in test/long. */
  isShort?: boolean
}

export const FORMS: Form[] = [
  {
    what: 'of the database',
    schema: 'chat',
    prepare: ['CREATE SCHEMA chat', 'ALTER DATABASE $db SET search_path = chat'],
  },
  {
    what: 'of the database, with a name that needs quotes, before public',
    isShort: true,
    schema: 'Chat Room',
    prepare: ['CREATE SCHEMA "Chat Room"', 'ALTER DATABASE $db SET search_path = "Chat Room", public'],
  },
  {
    what: 'of the role in this database',
    schema: 'chat',
    prepare: ['CREATE SCHEMA chat', 'ALTER ROLE restante IN DATABASE $db SET search_path = nowhere, chat'],
  },
  {
    what: 'of the user, by the name of the user',
    schema: 'restante',
    prepare: ['CREATE SCHEMA restante'],
  },
  {
    what: 'in the options of the URL',
    schema: 'chat',
    prepare: ['CREATE SCHEMA chat'],
    query: `options=${encodeURIComponent('-c search_path=chat')}`,
  },
  {
    what: 'as a parameter of the URL',
    schema: 'chat',
    prepare: ['CREATE SCHEMA chat'],
    query: 'schema=chat',
  },
  {
    what: 'as a parameter of the URL, before all others',
    schema: 'chat',
    prepare: ['CREATE SCHEMA chat', 'CREATE SCHEMA other', 'ALTER DATABASE $db SET search_path = other'],
    query: 'schema=chat',
  },
  { what: 'as a parameter of the URL, of one that is not there yet', schema: 'chat', query: 'schema=chat' },
  {
    what: 'as a parameter of the URL, with a name that needs quotes',
    isShort: true,
    schema: `Ada's own; $1 % %I, \\ ü`,
    query: `schema=${encodeURIComponent(`Ada's own; $1 % %I, \\ ü`)}`,
  },
]

export function itHasAllTablesAndServes(forms: Form[], cluster: () => SharedCluster): void {
  for (const { what, schema, prepare = [], query } of forms) {
    it(`${what} has all tables, and serves`, async (t) => {
      const database = await cluster().createDatabase()
      await inDatabase(database, prepare)
      const url = query ? `${database}?${query}` : database

      const [one, other] = await startNodes(t, url)
      await serves(t, one, other)
      await one.stop()
      const again = await startServer(t, {}, url)
      assert.equal((await new Client(again).login('ada')).status, 200)

      const tables = await inDatabase(database, [
        "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname !~ '^pg_|^information_schema$'",
      ])
      assert.deepEqual(tables, [{ schemaname: schema }])
    })
  }
}
