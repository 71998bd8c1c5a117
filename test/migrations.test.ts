/** The models are written once, in prisma/schema.prisma, and both databases follow them. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import pg from 'pg'
import { schemaDrift } from '../src/database/migrate.ts'
import { emptyPostgres, KINDS, ROOT, schemaOf } from './migrations/drift.ts'
import { Client } from './support/client.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { startNodes } from './support/nodes.ts'
import { startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored, tablesOf } from './support/stored.ts'

test('the schema for PostgreSQL is that for SQLite with another provider', () => {
  const lines = (name: string) => schemaOf(name).split('\n')
  const [[heading, ...derived], written] = [lines('schema.postgres.prisma'), lines('schema.prisma')]

  assert.match(heading ?? '', /^\/\/ Derived from schema\.prisma/)
  const differences = derived.flatMap((line, at) => (line === written[at] ? [] : [line.trim()]))
  assert.equal(derived.length, written.length, 'run `npm run generate`')
  assert.deepEqual(
    differences.map((line) => line.replaceAll(/ +/g, ' ')),
    ['output = "../src/generated/prisma-postgres"', 'provider = "postgresql"'],
  )
})

for (const kind of KINDS) {
  const schema = schemaOf(kind.schema)

  describe(`the migrations for ${kind.name} lead to prisma/${kind.schema}`, () => {
    it('exactly', async (t) => {
      assert.equal(await schemaDrift(kind.connect(await kind.empty(t))), '')
    })
  })

  describe(`the first start on ${kind.name}`, () => {
    it('creates the tables of the schema, and the history of Prisma; a second start changes nothing', async (t) => {
      const first = await startServer(t, {}, await kind.empty(t))
      const { database } = first
      const models = [...schema.matchAll(/^ +@@map\("(\w+)"\)/gm)].map(([, table]) => table ?? '')
      assert.deepEqual(await tablesIn(database), ['_prisma_migrations', ...models].sort())
      assert.deepEqual(await history(database), migrationNames(kind.folder))

      await new Client(first).register('ada')
      await first.stop()
      const before = await stored(database)
      await startServer(t, {}, database)
      assert.deepEqual(await stored(database), before)
    })
  })
}

test('two servers that start at once on PostgreSQL create the schema, and migrate it, once', async (t) => {
  const database = await emptyPostgres()
  const holder = new pg.Client(database)
  await holder.connect()
  atTheEnd(t, () => holder.end())
  // Until its end, the schema is neither there nor can be created.
  await holder.query('BEGIN')
  await holder.query('CREATE SCHEMA chat')

  const starts = startNodes(t, `${database}?schema=chat`)
  await eventually('both wait', async () => {
    const waiting = await withSql(database, ({ run }) => run(WAITING))
    return waiting.length === 2
  })
  await holder.query('ROLLBACK')
  const [one, other] = await starts

  const { rows } = await holder.query('SELECT migration_name AS name FROM chat._prisma_migrations')
  assert.deepEqual(rows.map(({ name }) => name).sort(), migrationNames('postgres'))
  const ada = await new Client(one).join('ada')
  const found = await new Client(other).get('/v1/users/ada', { token: ada.token })
  assert.equal(found.status, 200)
})

/** The connections to this database that wait for a lock. */
const WAITING =
  "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

/** The names of the applied migrations, once per application. */
async function history(database: string): Promise<unknown[]> {
  const rows = (await stored(database))['_prisma_migrations'] ?? []
  for (const row of rows) assert.ok(row['finished_at'] && !row['rolled_back_at'])
  return rows.map((row) => row['migration_name']).sort()
}

/** Except SQLite's internal tables. */
const tablesIn = async (database: string) =>
  (await withSql(database, (sql) => tablesOf(sql, database))).filter((name) => !name.startsWith('sqlite_'))

const migrationNames = (folder: string) =>
  readdirSync(join(ROOT, 'prisma/migrations', folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
