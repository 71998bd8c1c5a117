import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import pg from 'pg'
import { Client } from '../support/client.ts'
import { at } from '../support/nodes.ts'
import { park } from '../support/parked.ts'
import type { RunningServer } from '../support/servers.ts'

/** Checks that a message reaches the other node, and that a logout ends the poll there. */
export async function serves(t: TestContext, one: RunningServer, other: RunningServer) {
  const ada = await new Client(one).join('ada')
  const received = await park(t, ada, 'after=0&wait=55')
  assert.equal((await at(other, ada).send(ada, 'hello')).status, 201)
  assert.equal((await received.answer()).body.messages[0].body, 'hello')
  const ended = await park(t, ada, 'after=1&wait=55')
  assert.equal((await at(other, ada).logout()).status, 204)
  assert.equal((await ended.answer()).body.code, 'session_ended')
  return { ada: await new Client(one).enter('ada') }
}

export const nameOf = (database: string) => new URL(database).pathname.slice(1)

/** Runs statements, `$db` being the database's name. Resolves with the rows of all. */
export async function inDatabase(database: string, statements: string[]): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  try {
    const rows: unknown[] = []
    for (const text of statements)
      rows.push(...(await client.query(text.replaceAll('$db', nameOf(database)))).rows)
    return rows
  } finally {
    await client.end()
  }
}
