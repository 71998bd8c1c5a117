import { existsSync } from 'node:fs'
import type SqliteFile from 'better-sqlite3'
import { DatabaseUnusable } from '../../database.ts'
import { migrate } from '../../migrate.ts'
import { openStatements } from '../connection.ts'
import { cannotOpen } from '../errors.ts'
import { SqliteAdapter } from '../prisma-adapter.ts'
import { type FileLock, lockDatabase } from './lock.ts'

/** A SQLite file that only this process has open. */
export interface ExclusiveFile {
  statements: SqliteFile.Database
  /** For connections of Prisma. */
  adapter: SqliteAdapter
  check: FileLock['check']
  close: () => void
}

/**
 * Opens a SQLite file for this process alone, created and migrated when needed.
 *
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it must not be served
 */
export async function openExclusively(path: string): Promise<ExclusiveFile> {
  const lock = lockDatabase(path)
  try {
    const adapter = new SqliteAdapter(path)
    await migrate(adapter)
    const statements = openStatements(path)
    const close = () => {
      statements.close()
      lock.release()
    }
    return { statements, adapter, check: lock.check, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Uses a SQLite file that exists and that no server is using, migrated when needed.
 *
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function useExclusively<T>(
  path: string,
  use: (file: SqliteFile.Database) => T,
): Promise<Awaited<T>> {
  if (!existsSync(path)) throw new DatabaseUnusable(`The file ${path} does not exist.`)
  const { statements, close } = await openExclusively(path).catch((error) => {
    throw cannotOpen(path, error)
  })
  try {
    return await use(statements)
  } finally {
    close()
  }
}
