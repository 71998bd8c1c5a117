import { existsSync } from 'node:fs'
import type SqliteFile from 'better-sqlite3'
import { DatabaseInUse, DatabaseUnusable } from '../database.ts'
import { migrate } from '../migrate.ts'
import { SqliteAdapter } from './adapter.ts'
import { openStatements } from './connection.ts'
import { type Hold, holdDatabase } from './hold.ts'

/**
 * Uses a SQLite file that no server is using, migrated when needed.
 *
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function useAlone<T>(path: string, use: (file: SqliteFile.Database) => T): Promise<Awaited<T>> {
  if (!existsSync(path)) throw new DatabaseUnusable(`The file ${path} does not exist.`)
  const { file, close } = await open(path)
  try {
    return await use(file)
  } finally {
    close()
  }
}

async function open(path: string): Promise<{ file: SqliteFile.Database; close: () => void }> {
  let hold: Hold | undefined
  try {
    hold = holdDatabase(path)
    await migrate(new SqliteAdapter(path))
    const file = openStatements(path)
    const release = hold.release
    return {
      file,
      close: () => {
        file.close()
        release()
      },
    }
  } catch (error) {
    hold?.release()
    if (error instanceof DatabaseInUse) throw error
    const message = `The database ${path} cannot be opened: ${(error as Error).message}`
    throw new DatabaseUnusable(message, { cause: error })
  }
}
