import { randomBytes } from 'node:crypto'
import { closeSync, lstatSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { makePrivateFile } from '../../../private-files.ts'
import { syncToDisk } from '../../../sync-to-disk.ts'
import { DatabaseUnusable } from '../../database.ts'
import { tablesOf } from '../connection.ts'
import { noteBackup } from './backup-note.ts'
import { isInWalMode } from './wal-mode.ts'

/**
 * Copies a database that a server may be using, and marks the copy: a server that opens it first raises the
 * numbers of every inbox. The copy is a snapshot; commits continue meanwhile. The time of the backup is noted
 * beside the database.
 *
 * @param path the database
 * @param file where the copy goes; an older backup there is replaced
 * @returns the size of the copy in bytes
 * @throws DatabaseUnusable with the reason; `file` is then unchanged, unless the reason says that the copy is
 * good
 */
export function backUp(path: string, file: string): number {
  const owner = statSync(path, { throwIfNoEntry: false })
  if (!owner) throw new DatabaseUnusable(`The database ${path} does not exist.`)
  const folder = dirname(resolve(file))
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new DatabaseUnusable(`The folder ${folder} for the backup does not exist.`)
  refuseToReplace(path, file)

  const draft = `${file}.${randomBytes(6).toString('hex')}.partial`
  const takenAtMs = Date.now()
  try {
    // Messages are private. Even if root makes the copy, it belongs to the server's user.
    closeSync(makePrivateFile(draft, owner))
    copy(path, draft)
    mark(draft)
    // VACUUM INTO does not sync it.
    syncToDisk(draft)
    renameSync(draft, file)
    syncToDisk(folder)
  } catch (error) {
    if (error instanceof DatabaseUnusable) throw error
    const message = `The backup of ${path} to ${file} failed: ${(error as Error).message}`
    throw new DatabaseUnusable(message, { cause: error })
  } finally {
    rmSync(draft, { force: true })
  }
  try {
    noteBackup(path, takenAtMs, owner)
  } catch (error) {
    const message = `${file} is a good copy, but that it was made cannot be noted: ${(error as Error).message}`
    throw new DatabaseUnusable(message, { cause: error })
  }
  return statSync(file).size
}

/** Files beside a database. They may not exist yet. */
const BESIDE = ['-wal', '-shm', '-journal', '.lock', '.jwt-secret', '.last-backup']

/** Refuses to replace anything but an older backup: above all a database, under any of its names. */
function refuseToReplace(path: string, file: string) {
  const database = realpathSync(path)
  const target = join(realpathSync(dirname(resolve(file))), basename(file))
  if (BESIDE.some((suffix) => target === database + suffix))
    throw new DatabaseUnusable(`The name ${file} belongs to the database. Choose another one for the backup.`)
  const [there, own] = [lstatSync(file, { throwIfNoEntry: false }), statSync(database)]
  if (!there) return
  if (there.isSymbolicLink()) throw new DatabaseUnusable(`${file} is a symbolic link. Name its target.`)
  if (there.ino === own.ino && there.dev === own.dev)
    throw new DatabaseUnusable(`${file} is the database itself. Choose another name for the backup.`)
  if (there.isFile() && isBackup(file)) return
  throw new DatabaseUnusable(`${file} exists and is not a Restante backup, so it is not replaced.`)
}

function isBackup(file: string): boolean {
  // Opening any other file could leave a log beside it.
  if (isInWalMode(file)) return false
  const connection = new SqliteFile(file, { readonly: true })
  try {
    return connection.prepare('SELECT is_backup FROM store WHERE id = 1').pluck().get() === 1
  } catch {
    return false
  } finally {
    connection.close()
  }
}

function copy(path: string, draft: string) {
  const connection = new SqliteFile(path, { readonly: true })
  try {
    const tables = tablesOf(connection)
    if (!tables.includes('_prisma_migrations'))
      throw new DatabaseUnusable(`${path} is not a Restante database.`)
    if (!tables.includes('store'))
      throw new DatabaseUnusable(
        `${path} was last used by an older version. Start this version with it first.`,
      )
    connection.prepare('VACUUM INTO ?').run(draft)
  } finally {
    connection.close()
  }
}

function mark(draft: string) {
  const connection = new SqliteFile(draft)
  try {
    // A failed draft is removed.
    connection.pragma('journal_mode = OFF')
    connection.prepare('UPDATE store SET is_backup = 1').run()
  } finally {
    connection.close()
  }
}
