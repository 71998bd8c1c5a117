import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import pg from 'pg'
import { databaseFile, isPostgres } from '../../src/config.ts'
import { atTheEnd, type Ending } from './endings.ts'

/** A migrated PostgreSQL database to copy, set by scripts/test.ts; without it the tests run on SQLite. */
const TEMPLATE = process.env['TEST_POSTGRES']

/** The same for SQLite; without it each database is migrated by itself, which takes longer. */
const SQLITE_TEMPLATE = process.env['TEST_SQLITE']

/** The database of servers under test, unless the test names one. */
export const onPostgres = TEMPLATE !== undefined

/** For tests of SQLite itself; a comment or the title says what they test. */
export const itOnSqlite: typeof it = onPostgres ? ((async () => {}) as typeof it) : it

/** For tests with several nodes. */
export const itOnPostgres: typeof it = onPostgres ? it : ((async () => {}) as typeof it)

/** A folder that is deleted after the test. */
export function scratchFolder(t: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'restante-'))
  atTheEnd(t, () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Creates a migrated database for a test. Resolves with its DATABASE_URL. */
export async function newDatabase(t: Ending): Promise<string> {
  if (TEMPLATE !== undefined) return copyOf(TEMPLATE, t)
  const database = noDatabaseYet(t)
  if (SQLITE_TEMPLATE === undefined) await migrateFile(fileOf(database))
  else copyFileSync(SQLITE_TEMPLATE, fileOf(database))
  return database
}

/** Loaded only when needed, because loading takes longer than most tests. */
async function migrateFile(path: string) {
  const { migrate } = await import('../../src/database/migrate.ts')
  const { SqliteAdapter } = await import('../../src/database/sqlite/prisma-adapter.ts')
  await migrate(new SqliteAdapter(path))
}

/** The path where the first start of a server creates a SQLite file. */
export const noDatabaseYet = (t: Ending): string => `file:${join(scratchFolder(t), 'restante.db')}`

/** The path of the SQLite file, for tests of the file; these do not run on PostgreSQL. */
export const fileOf = databaseFile

/**
 * What a crash at this moment would leave, as a database for a second server: on SQLite a copy of the files;
 * on PostgreSQL the same database, where another connection sees only committed data.
 */
export function asAfterCrash(database: string): string {
  if (isPostgres(database)) return database
  const [file, copy] = [fileOf(database), `${fileOf(database)}.copy`]
  for (const suffix of ['', '-wal']) copyFileSync(file + suffix, copy + suffix)
  return `file:${copy}`
}

let copies = 0

async function copyOf(template: string, t: Ending): Promise<string> {
  const url = new URL(template)
  const original = url.pathname.slice(1)
  copies += 1
  const name = `${original}_${process.pid}_${copies}`
  // FILE_COPY takes half as long for a small template.
  await pool(template).query(`CREATE DATABASE ${name} TEMPLATE ${original} STRATEGY FILE_COPY`)
  // PostgreSQL may not have noticed the end of a killed server yet.
  atTheEnd(t, () => pool(template).query(`DROP DATABASE ${name} WITH (FORCE)`))
  url.pathname = name
  return url.href
}

let connections: pg.Pool | undefined

/** Another database than the template, because a copied database may have no connections. */
function pool(template: string): pg.Pool {
  const options = { connectionString: new URL('/postgres', template).href, max: 2, allowExitOnIdle: true }
  connections ??= new pg.Pool(options)
  return connections
}
