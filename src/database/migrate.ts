import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import {
  bindMigrationAwareSqlAdapterFactory,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils'
import type { MigrationDirectory, MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm'
import { DatabaseUnusable } from './database.ts'
import { isBeforeFirst, upgradeFromBefore } from './upgrade.ts'

/** src/database/, dist/database/ and dist/bundle/ lie equally deep below the package's root. */
const PRISMA_FOLDER = new URL('../../prisma/', import.meta.url)
/** Copied from its package by scripts/build-bundle.mjs. */
const ENGINE_FILE = new URL('../../dist/schema-engine.wasm', import.meta.url)
const SCHEMA = { sqlite: 'schema.prisma', postgres: 'schema.postgres.prisma' }
const NO_FILTERS = { externalTables: [], externalEnums: [] }

/**
 * Applies the migrations that the database has not seen yet, by Prisma's own schema engine: the history it
 * writes is the one that `prisma migrate status` reads.
 *
 * @returns the names of the migrations applied now
 * @throws DatabaseUnusable when a newer version has migrated it; then nothing is changed
 */
export async function migrate(factory: SqlMigrationAwareDriverAdapterFactory): Promise<string[]> {
  const migrationsList = await listMigrations(factory.provider)
  if (await prepare(factory, migrationsList)) return []

  return withEngine(factory, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: NO_FILTERS })
    return appliedMigrationNames
  })
}

/**
 * The SQL that leads from the migrations on disk to schema.prisma: the next migration, and "" when there is
 * none.
 *
 * @param factory for a scratch database, in which the migrations are replayed
 */
export async function schemaDrift(factory: SqlMigrationAwareDriverAdapterFactory): Promise<string> {
  const migrations = await listMigrations(factory.provider)
  const schema = new URL(SCHEMA[factory.provider as keyof typeof SCHEMA], PRISMA_FOLDER)
  const files = [{ path: fileURLToPath(schema), content: await readFile(schema, 'utf8') }]

  return withEngine(factory, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...migrations },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: NO_FILTERS,
    })
    return stdout?.trim() === '-- This is an empty migration.' ? '' : (stdout ?? '')
  })
}

/** Where the migrations for a kind of database are kept. */
export const migrationsFolder = (provider: string): string =>
  fileURLToPath(new URL(`migrations/${provider}/`, PRISMA_FOLDER))

async function listMigrations(provider: string): Promise<MigrationList> {
  const baseDir = migrationsFolder(provider)
  const read = (path: string) => readFile(`${baseDir}${path}`, 'utf8')
  const entries = await readdir(baseDir, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)

  const migrationDirectories = names.sort().map(async (name): Promise<MigrationDirectory> => {
    const value = await read(`${name}/migration.sql`)
    return { path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } } }
  })
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: await read('migration_lock.toml') },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(migrationDirectories),
  }
}

/**
 * Reads the history of the database, and upgrades a database from before 0.1. Returns whether the engine has
 * nothing to do: it reads the same table, but loading it takes ten times as long as opening the database.
 * Anything unclear, such as a failed migration, is left to the engine.
 *
 * @throws DatabaseUnusable when the database has migrations that this version does not know
 */
async function prepare(
  factory: SqlMigrationAwareDriverAdapterFactory,
  { migrationDirectories }: MigrationList,
): Promise<boolean> {
  const known = migrationDirectories.map(({ path }) => path)
  const connection = await factory.connect()
  try {
    const history = await readHistory(connection)
    if (!history) return false
    const finished = new Set(history.flatMap(({ name, finished }) => (finished ? [name] : [])))
    refuseNewer(finished, known)
    await upgradeFromBefore(connection, finished, PRISMA_FOLDER)
    const now = (await readHistory(connection)) ?? []
    return (
      now.every(({ finished }) => finished) && known.every((name) => now.some((one) => one.name === name))
    )
  } finally {
    await connection.dispose()
  }
}

function refuseNewer(finished: ReadonlySet<string>, known: readonly string[]) {
  const unknown = [...finished].find((name) => !known.includes(name) && !isBeforeFirst(name))
  if (unknown !== undefined)
    throw new DatabaseUnusable(
      `a newer version of Restante has migrated it (${unknown}). Start that version, or restore a backup from before.`,
    )
}

/**
 * The migrations that a start would apply, by the names of those that are finished.
 *
 * @param finished those that it has seen
 * @throws DatabaseUnusable when a newer version has migrated it
 */
export async function pendingMigrations(
  provider: 'sqlite' | 'postgres',
  finished: readonly string[],
): Promise<string[]> {
  const known = (await listMigrations(provider)).migrationDirectories.map(({ path }) => path)
  refuseNewer(new Set(finished), known)
  return known.filter((name) => !finished.includes(name))
}

/** The migrations that the database has; undefined when it is new. */
async function readHistory(
  connection: SqlDriverAdapter,
): Promise<{ name: string; finished: boolean }[] | undefined> {
  const sql = 'SELECT migration_name, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL'
  try {
    const { rows } = await connection.queryRaw({ sql, args: [], argTypes: [] })
    return rows.map(([name, finishedAt]) => ({ name: String(name), finished: finishedAt !== null }))
  } catch (error) {
    const { cause } = error as { cause?: { kind?: string } }
    if (cause?.kind === 'TableDoesNotExist') return undefined
    throw error
  }
}

/** Runs `use` with an engine, and closes the connections that the engine opened. */
async function withEngine<T>(
  factory: SqlMigrationAwareDriverAdapterFactory,
  use: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  const connections: SqlDriverAdapter[] = []
  const { provider, adapterName } = factory
  const bound = bindMigrationAwareSqlAdapterFactory({
    provider,
    adapterName,
    // The engine closes the scratch database itself.
    connectToShadowDb: async () => {
      const scratch = await factory.connectToShadowDb()
      // It replays a migration there as one statement, and better-sqlite3 prepares no more than one.
      scratch.executeRaw = async ({ sql }) => {
        await scratch.executeScript(sql)
        return 0
      }
      return scratch
    },
    connect: async () => {
      const connection = await factory.connect()
      connections.push(connection)
      if (provider === 'sqlite') await connection.executeScript(BEGIN_SQLITE)
      return connection
    },
  })

  try {
    engineClass ??= loadEngine()
    const engine = await (await engineClass).new({ datamodels: undefined }, () => {}, bound)
    try {
      const result = await use(engine)
      if (provider === 'sqlite')
        for (const connection of connections) await connection.executeScript('COMMIT')
      return result
    } finally {
      engine.free()
    }
  } catch (error) {
    // After the first lines the engine's message continues with a trace of its own sources.
    const [reason] = (error as Error).message.split(/\n\s+0: /)
    throw new Error(`The database could not be migrated: ${reason?.trim()}`, { cause: error })
  } finally {
    // The engine never releases the file it has locked: on SQLite nothing else could open it.
    for (const connection of connections) await connection.dispose()
  }
}

/**
 * The engine runs SQLite's migrations statement by statement. Inside one transaction a process that is killed
 * leaves the database as it was. Keys are not checked meanwhile, because tables are rebuilt; inside a
 * transaction the migrations could not switch that off themselves.
 */
const BEGIN_SQLITE = 'PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE'

/** The engine's WebAssembly can be started once per thread; a second start fails. */
let engineClass: Promise<typeof SchemaEngine> | undefined

async function loadEngine(): Promise<typeof SchemaEngine> {
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  const bytes = await readFile(ENGINE_FILE)
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue })
  glue.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  return glue.SchemaEngine
}

/** Node 20 has it, but its declarations leave it to the browser's. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, unknown>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>
}
