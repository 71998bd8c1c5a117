/** The models are written once, in prisma/schema.prisma; both databases are made after them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import { type Cluster, startCluster } from './support/postgres.ts'
import { spawnServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored, tablesOf } from './support/stored.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const schemaOf = (name: string) => readFileSync(join(ROOT, 'prisma', name), 'utf8')

let cluster: Promise<Cluster> | undefined
after(async () => (await cluster)?.stop())

async function emptyPostgres(): Promise<string> {
  cluster ??= startCluster()
  return (await cluster).createDatabase()
}

interface Kind {
  name: string
  /** Below prisma/migrations. */
  folder: string
  schema: string
  /** The source of an expression that makes the engine's way to an empty database. */
  adapter: string
  /** Resolves with the URL of one that is empty. */
  empty: (t: TestContext) => string | Promise<string>
}

const KINDS: Kind[] = [
  {
    name: 'SQLite',
    folder: 'sqlite',
    schema: 'schema.prisma',
    adapter: `new (await import('@prisma/adapter-better-sqlite3')).PrismaBetterSqlite3({ url })`,
    empty: (t) => `file:${join(scratchFolder(t), 'restante.db')}`,
  },
  {
    name: 'PostgreSQL',
    folder: 'postgres',
    schema: 'schema.postgres.prisma',
    adapter: `new (await import('./dist/database/postgres/migration-adapter.js')).MigrationAdapter({
      connectionString: url })`,
    empty: emptyPostgres,
  },
]

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
      assert.equal(await driftOf(t, kind, schema), '')
    })

    it('and would not without a migration for a column', async (t) => {
      const changed = schema.replace('model Message {', 'model Message {\n  subject String?')

      assert.match(await driftOf(t, kind, changed), /ALTER TABLE "message" ADD COLUMN\s+"subject" TEXT/)
    })

    it('and would not without a migration for an index', async (t) => {
      const changed = schema.replace('@@index([accountId])', '@@index([accountId, createdAt])')

      assert.match(await driftOf(t, kind, changed), /CREATE INDEX/)
    })
  })

  describe(`a start on a database of ${kind.name}`, () => {
    it('that is empty makes the tables of the schema, and the history of Prisma', async (t) => {
      const { database } = await startServer(t, {}, await kind.empty(t))

      const models = [...schema.matchAll(/^ +@@map\("(\w+)"\)/gm)].map(([, table]) => table ?? '')
      assert.deepEqual(await tablesIn(database), ['_prisma_migrations', ...models].sort())
      assert.deepEqual(await history(database), migrationNames(kind.folder))
    })

    it('that is up to date changes nothing', async (t) => {
      const first = await startServer(t, {}, await kind.empty(t))
      await new Client(first).register('ada')
      await first.stop()
      const before = await stored(first.database)

      const second = await startServer(t, {}, first.database)

      assert.deepEqual(await stored(second.database), before)
    })
  })
}

test('two servers that start at once on an empty database of PostgreSQL migrate it once', async (t) => {
  const database = await emptyPostgres()

  const [one, other] = await Promise.all([spawnServer(t, {}, database), spawnServer(t, {}, database)])

  assert.deepEqual(await history(database), migrationNames('postgres'))
  const ada = await new Client(one).join('ada')
  const found = await new Client(other).get('/v1/users/ada', { token: ada.token })
  assert.equal(found.status, 200)
})

/** The names of the migrations that were applied, as often as each was. */
async function history(database: string): Promise<unknown[]> {
  const rows = (await stored(database))['_prisma_migrations'] ?? []
  for (const row of rows) assert.ok(row['finished_at'] && !row['rolled_back_at'])
  return rows.map((row) => row['migration_name']).sort()
}

/** But for those that SQLite has for itself. */
const tablesIn = async (database: string) =>
  (await withSql(database, (sql) => tablesOf(sql, database))).filter((name) => !name.startsWith('sqlite_'))

const migrationNames = (folder: string) =>
  readdirSync(join(ROOT, 'prisma/migrations', folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()

/**
 * The SQL that is missing between the migrations and a schema. In a process of its own, because the schema
 * engine can be started once; in a copy, because it reads the files that lie beside it.
 */
async function driftOf(t: TestContext, { schema: name, adapter, empty }: Kind, schema: string) {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'dist/database/postgres'), { recursive: true })
  for (const file of ['migrate.js', 'upgrade.js', 'database.js', 'postgres/migration-adapter.js'])
    cpSync(join(ROOT, 'dist/database', file), join(folder, 'dist/database', file))
  cpSync(join(ROOT, 'prisma/migrations'), join(folder, 'prisma/migrations'), { recursive: true })
  writeFileSync(join(folder, 'prisma', name), schema)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const program = `
    import { schemaDrift } from './dist/database/migrate.js'
    const [url] = process.argv.slice(1)
    process.stdout.write(await schemaDrift(${adapter}))`
  const args = ['--input-type=module', '-e', program, await empty(t)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder })
  return stdout
}
