/** Starts that are refused before anything is changed in the database. */
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { mistakeOf, startServer } from '../support/servers.ts'
import type { SharedCluster } from '../support/shared-cluster.ts'
import { inDatabase, nameOf } from './serves.ts'

export function itIsRefusedWithEncoding(encoding: string, cluster: () => SharedCluster): void {
  it(`has the encoding ${encoding}: it is refused, and not changed`, async (t) => {
    const database = await cluster().createDatabase()
    await inDatabase(database.replace(/\/\w+$/, '/postgres'), [
      `DROP DATABASE ${nameOf(database)}`,
      `CREATE DATABASE ${nameOf(database)} ENCODING '${encoding}' TEMPLATE template0`,
    ])

    for (const url of [database, `${database}?schema=chat`])
      await refused(t, url, new RegExp(`${encoding}.*UTF8`))
  })
}

/** Checks that the start ends with one message and does not change the database. */
export async function refused(t: TestContext, url: string, sentence: RegExp, database = url) {
  const before = await contents(database)
  const mistake = await mistakeOf(startServer(t, {}, url))
  t.diagnostic(mistake)
  assert.match(mistake, sentence)
  assert.deepEqual(await contents(database), before)
}

const contents = (database: string) =>
  inDatabase(database.replace(/\?.*/, ''), [
    `SELECT nspname || '.' || relname AS name,
            CASE WHEN relkind = 'r' THEN query_to_xml(format('TABLE %I.%I', nspname, relname), true, true, '')::text END AS rows
       FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`,
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1",
  ])
