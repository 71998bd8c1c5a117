import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { pendingMigrations } from '../../migrate.ts'
import { tablesOf } from '../connection.ts'
import { cannotOpen } from '../errors.ts'
import { checkWithoutLock } from './lock.ts'
import { requireBinary } from './native-binary.ts'

/**
 * Inspects a SQLite file as a start would, without writing.
 *
 * @returns the migrations that a start would apply; undefined when there is no database yet
 * @throws DatabaseInUse, DatabaseUnusable when a start would be refused
 */
export async function inspectSqlite(path: string): Promise<string[] | undefined> {
  try {
    requireBinary()
    if (!existsSync(path)) return void accessSync(nearestFolder(path), constants.W_OK)
    checkWithoutLock(path)
    return await pendingInSqlite(path)
  } catch (error) {
    throw cannotOpen(path, error)
  }
}

/**
 * The migrations that a start would apply. A server may be using the file.
 *
 * @throws DatabaseUnusable when a newer version has migrated it
 */
export async function pendingInSqlite(path: string): Promise<string[] | undefined> {
  const file = new SqliteFile(path, { readonly: true })
  try {
    if (!tablesOf(file).includes('_prisma_migrations')) return undefined
    const finished = file
      .prepare<[], string>(
        'SELECT migration_name FROM _prisma_migrations WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL',
      )
      .pluck()
      .all()
    return await pendingMigrations('sqlite', finished)
  } finally {
    file.close()
  }
}

/** The nearest folder that exists: a start would make the missing ones in it. */
function nearestFolder(path: string): string {
  let folder = dirname(resolve(path))
  while (!existsSync(folder)) folder = dirname(folder)
  return folder
}
