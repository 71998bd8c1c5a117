import SqliteFile from 'better-sqlite3'
import { DatabaseUnusable } from '../../database.ts'

/**
 * better-sqlite3 loads its binary with the first database that it opens, and without one its error lists
 * thirteen paths. The binary is missing where npm could not run the script of the package, and does not fit
 * after Node was replaced.
 *
 * @throws DatabaseUnusable when this Node cannot load it
 */
export function requireBinary(): void {
  try {
    new SqliteFile(':memory:').close()
  } catch (error) {
    const message =
      'better-sqlite3 has no binary that this Node can load. ' +
      'Install Restante again and allow the script of that package (--allow-scripts=better-sqlite3), ' +
      'or run `npm rebuild better-sqlite3` in the folder of Restante.'
    throw new DatabaseUnusable(message, { cause: error })
  }
}
