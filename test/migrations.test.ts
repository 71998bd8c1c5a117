/** The models are written once, in prisma/schema.prisma; both databases are made after them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, seqsOf } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
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

test('the schema for PostgreSQL is that for SQLite, but for what must differ', () => {
  const lines = (name: string) => schemaOf(name).split('\n')
  const [[heading, ...derived], written] = [lines('schema.postgres.prisma'), lines('schema.prisma')]

  assert.match(heading ?? '', /^\/\/ Derived from schema\.prisma/)
  const differences = derived.flatMap((line, at) => (line === written[at] ? [] : [[written[at], line]]))
  assert.equal(derived.length, written.length, 'run `npm run generate`')
  const [begin = 0, end = 0] = ['model InboxEntry', '/// The first answer'].map((text) =>
    written.findIndex((line) => line.startsWith(text)),
  )
  const only = written.slice(begin, end).filter((line) => line !== '')
  assert.deepEqual(
    only.filter((line) => line.startsWith('model')),
    ['model InboxEntry { // SQLite', 'model InboxIndex { // SQLite'],
  )
  assert.deepEqual(
    differences.map((pair) => pair.map((line) => line?.trim().replaceAll(/ +/g, ' '))),
    [
      ['output = "../src/generated/prisma"', 'output = "../src/generated/prisma-postgres"'],
      ['provider = "sqlite"', 'provider = "postgresql"'],
      [
        '// PostgreSQL: newestSeq BigInt @default(0) @map("newest_seq")',
        'newestSeq BigInt @default(0) @map("newest_seq")',
      ],
      ['position Int @id // SQLite', '// position Int @id'],
      ['json String // SQLite', '// json String'],
      ['// PostgreSQL: body String', 'body String'],
      ['// PostgreSQL: @@id([recipientId, seq])', '@@id([recipientId, seq])'],
      ...only.map((line) => [line, `// ${line}`].map((either) => either.trim().replaceAll(/ +/g, ' '))),
      ['id Int @id @default(autoincrement())', 'id BigInt @id @default(autoincrement())'],
    ],
  )
  const [place = 0] = derived.flatMap((line, at) => (/ id +BigInt /.test(line) ? [at] : []))
  const model = derived.slice(0, place).findLast((line) => line.startsWith('model '))
  assert.equal(model, 'model IdempotencyKey {')
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

test('inboxes of SQLite go on where they were in a file of an older version', async (t) => {
  const first = await startServer(t, { RETENTION: '0' })
  const [ada, bob] = [await new Client(first).join('ada'), await new Client(first).join('bob')]
  await bob.sendMany(ada, 3)
  await ada.sendMany(bob, 2)
  await ada.acknowledge(3)
  const isPurged = async () => (await ada.poll({ after: 0, wait: 0 })).body.gap?.to === 3
  await eventually('the inbox is empty', isPurged)
  await bob.sendMany(ada, 1)
  await ada.send('bob', 'She said: "Zoë \\o/ 🎈"\n')
  const before = (await bob.poll({ after: 0, wait: 0 })).body.messages
  await first.stop()
  await withSql(first.database, async ({ run }) => {
    for (const statement of OLDEST_TABLES) await run(statement)
    await run("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%newest_from_messages'")
    await run("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%message_log'")
    await run("DELETE FROM _prisma_migrations WHERE migration_name LIKE '%message_json'")
  })

  const second = new Client(await startServer(t, { RETENTION: '0' }, first.database))

  const [adaThen, bobThen] = [await second.enter('ada'), await second.enter('bob')]
  await bobThen.sendMany(ada, 1)
  await adaThen.sendMany(bob, 1)
  assert.deepEqual(seqsOf((await adaThen.poll({ after: 3, wait: 0 })).body.messages), [4, 5])
  const { messages } = (await bobThen.poll({ after: 0, wait: 0 })).body
  assert.deepEqual(seqsOf(messages), [1, 2, 3, 4])
  assert.deepEqual(messages.slice(0, 3), before)
})

/** Back from the newest tables to those of the first version. */
const OLDEST_TABLES = [
  'ALTER TABLE account ADD COLUMN newest_seq BIGINT NOT NULL DEFAULT 0',
  `UPDATE account SET newest_seq =
     max(purged_seq, coalesce((SELECT max(seq) FROM message WHERE recipient_id = account.id), 0))`,
  'DROP TABLE inbox_entry',
  'DROP TABLE inbox_index',
  `CREATE TABLE old_message (
     recipient_id INTEGER NOT NULL,
     seq BIGINT NOT NULL,
     id BLOB NOT NULL,
     sender_id INTEGER NOT NULL,
     body TEXT NOT NULL,
     sent_at DATETIME NOT NULL,
     PRIMARY KEY (recipient_id, seq)
   )`,
  `INSERT INTO old_message
     SELECT recipient_id, seq, id, sender_id, json ->> 'body', sent_at FROM message`,
  'DROP TABLE message',
  'ALTER TABLE old_message RENAME TO message',
  'CREATE UNIQUE INDEX message_id_key ON message (id)',
]

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
  for (const file of ['migrate.js', 'postgres/migration-adapter.js'])
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
