/** Whether the migrations of a database lead to its schema. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3'
import type { SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils'
import { MigrationAdapter } from '../../src/database/postgres/migration-adapter.ts'
import { scratchFolder } from '../support/databases.ts'
import { type SharedCluster, shareCluster } from '../support/shared-cluster.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const schemaOf = (name: string) => readFileSync(join(ROOT, 'prisma', name), 'utf8')

let cluster: Promise<SharedCluster> | undefined
after(async () => (await cluster)?.stop())

export async function emptyPostgres(): Promise<string> {
  cluster ??= shareCluster()
  return (await cluster).createDatabase()
}

interface Kind {
  name: string
  /** Below prisma/migrations. */
  folder: string
  schema: string
  /** Creates the engine's connection to an empty database. */
  connect: (url: string) => SqlMigrationAwareDriverAdapterFactory
  /** The source of an expression that does the same in another process. */
  adapter: string
  /** Resolves with the URL of an empty database. */
  empty: (t: TestContext) => string | Promise<string>
}

export const KINDS: Kind[] = [
  {
    name: 'SQLite',
    folder: 'sqlite',
    schema: 'schema.prisma',
    connect: (url) => new PrismaBetterSqlite3({ url }),
    adapter: `new (await import('@prisma/adapter-better-sqlite3')).PrismaBetterSqlite3({ url })`,
    empty: (t) => `file:${join(scratchFolder(t), 'restante.db')}`,
  },
  {
    name: 'PostgreSQL',
    folder: 'postgres',
    schema: 'schema.postgres.prisma',
    connect: (connectionString) => new MigrationAdapter({ connectionString }),
    adapter: `new (await import('./dist/database/postgres/migration-adapter.js')).MigrationAdapter({
      connectionString: url })`,
    empty: emptyPostgres,
  },
]

/**
 * The SQL that is missing between the migrations and another schema. It runs in a copy, because it reads the
 * files beside it, and in a process of its own, because the schema engine can be started only once.
 */
export async function driftOf(t: TestContext, { schema: name, adapter, empty }: Kind, schema: string) {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'dist/database/postgres'), { recursive: true })
  for (const file of ['migrate.js', 'upgrade.js', 'database.js', 'batch.js', 'postgres/migration-adapter.js'])
    cpSync(join(ROOT, 'dist/database', file), join(folder, 'dist/database', file))
  cpSync(join(ROOT, 'dist/schema-engine.wasm'), join(folder, 'dist/schema-engine.wasm'))
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
