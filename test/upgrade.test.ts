/**
 * A database of the last version before 0.1 continues. The file was left by a killed server; a JSON file has
 * what its clients had seen.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client, seqsOf } from './support/client.ts'
import { newDatabase, scratchFolder } from './support/databases.ts'
import { type Ending, endOfSuite } from './support/endings.ts'
import { mistakeOf, type StartedServer, startServer } from './support/servers.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'
import { withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const seen = JSON.parse(readFileSync(fixture('before-0.1.json'), 'utf8'))
/** The fixtures grow older, and nothing in them may expire. */
const TEN_YEARS = '3650d'
const ENV = {
  JWT_SECRET: 'the secret of the file from before 0.1',
  SESSION_POLICY: 'multi',
  SESSION_MAX: TEN_YEARS,
  IDEMPOTENCY_TTL: TEN_YEARS,
  RETENTION: 'never',
}

describe('a file of the version before 0.1', () => {
  const end = endOfSuite()
  let upgraded: StartedServer
  before(async () => {
    upgraded = await startServer(end, ENV, copyOfFixture(end))
  })

  it('keeps every message, number, session and key', async () => {
    const client = new Client(upgraded)
    const get = (name: string, path: string) => client.get(path, { token: seen.tokens[name] })
    for (const name of ['ada', 'bob', 'zoe']) {
      const { body } = await get(name, '/v1/inbox?after=0&wait=0&limit=500')
      const { gap } = seen.inboxes[name]
      assert.deepEqual(body, { ...seen.inboxes[name], ...(gap && { gap: { ...gap, reason: 'purged' } }) })
    }
    // The acknowledgements before the process was killed.
    assert.deepEqual(seqsOf((await get('ada', '/v1/inbox?wait=0')).body.messages), [7, 8, 9])
    const repeated = await client.request('POST', '/v1/messages', {
      token: seen.tokens.ada,
      body: { to: 'zoe', body: 'with a key' },
      headers: { 'idempotency-key': 'key-1' },
    })
    assert.deepEqual(repeated.body, seen.keyed)
    const zoe = seen.tokens.zoe
    await client.request('POST', '/v1/messages', { token: zoe, body: { to: 'ada', body: 'the next' } })
    assert.deepEqual(seqsOf((await get('ada', '/v1/inbox?after=9&wait=0')).body.messages), [10])
    assert.equal((await client.register('carol')).body.code, 'username_taken')
  })

  it('has the tables and the history of a new one', async (t) => {
    const made = await newDatabase(t)

    assert.deepEqual(await tables(upgraded.database), await tables(made))
    assert.deepEqual(await historyOf(upgraded.database), await historyOf(made))
  })

  it('is refused, and not changed, when an inbox has a number twice', async (t) => {
    const database = copyOfFixture(t)
    await withSql(database, ({ run }) => run(`UPDATE message SET seq = 6 WHERE recipient_id = 1 AND seq = 7`))
    const contents = () =>
      withSql(database, async ({ run }) => [
        await run('SELECT * FROM message ORDER BY position'),
        await run('SELECT * FROM _prisma_migrations ORDER BY migration_name'),
      ])
    const before = await contents()

    const mistake = await mistakeOf(startServer(t, ENV, database))

    assert.match(mistake, /^The database .* cannot be opened: an inbox has the same number twice/)
    assert.deepEqual(await contents(), before)
  })

  it('is refused when it is even older', async (t) => {
    const database = copyOfFixture(t)
    await withSql(database, ({ run }) =>
      run("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%message_json'"),
    )
    const mistake = await mistakeOf(startServer(t, ENV, database))
    assert.match(mistake, /^The database .* cannot be opened: it was last used by a version/)
  })
})

let cluster: Promise<SharedCluster> | undefined
after(async () => (await cluster)?.stop())

describe('a database of PostgreSQL of the version before 0.1', () => {
  it('has the tables and the history of a new one, and continues', async (t) => {
    cluster ??= shareCluster()
    const { createDatabase } = await cluster
    const [old, empty] = [await createDatabase(), await createDatabase()]
    await withSql(old, async ({ run }) => {
      for (const statement of readFileSync(fixture('before-0.1.postgres.sql'), 'utf8').split(';\n\n'))
        await run(statement)
    })

    const [upgraded, made] = [await startServer(t, ENV, old), await startServer(t, ENV, empty)]

    assert.deepEqual(await tables(upgraded.database), await tables(made.database))
    assert.deepEqual(await historyOf(upgraded.database), await historyOf(made.database))
    const { idempotency_key: keys = [] } = await stored(old)
    assert.deepEqual(
      keys.map(({ key }) => key),
      ['key-1'],
    )
    await new Client(upgraded).join('ada')
  })
})

/** The fixture must not change. */
function copyOfFixture(t: Ending): string {
  const file = join(scratchFolder(t), 'restante.db')
  copyFileSync(fixture('before-0.1.db'), file)
  assert.ok(statSync(file).size > 0)
  return `file:${file}`
}

/** Each column of each table, with its type, and each index. */
function tables(database: string) {
  return withSql(database, async ({ run }) => {
    if (database.startsWith('file:'))
      return run(
        `SELECT list.name AS "table", info.name, info.type, info."notnull", info.pk
           FROM pragma_table_list AS list JOIN pragma_table_xinfo(list.name) AS info
          WHERE list.schema = 'main' AND list.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`,
      )
    return run(
      `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = 'public'
        UNION ALL SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
        ORDER BY 1, 2`,
    )
  })
}

const historyOf = async (database: string) =>
  (await withSql(database, ({ run }) => run('SELECT migration_name, checksum FROM _prisma_migrations'))).map(
    (row) => ({ ...row }),
  )
