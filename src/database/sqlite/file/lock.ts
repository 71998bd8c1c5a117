import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import SqliteFile from 'better-sqlite3'
import { checkPrivateFile, closeToOthers, makePrivateFile } from '../../../private-files.ts'
import { syncToDisk } from '../../../sync-to-disk.ts'
import { DatabaseInUse, DatabaseUnavailable, DatabaseUnusable } from '../../database.ts'
import { tablesOf } from '../connection.ts'
import { requireBinary } from './native-binary.ts'
import { isInWalMode } from './wal-mode.ts'

/** The lock of this process on a database. */
export interface FileLock {
  /** @throws DatabaseUnavailable when the path now leads to another file, or to none */
  check: () => void
  release: () => void
}

/**
 * Locks the database for this process, so that a second one is refused: by an exclusive transaction on an
 * empty SQLite file beside it, which the kernel ends with the process, however it dies.
 *
 * @param path where the database is; an empty file is made when there is none
 * @throws DatabaseInUse when another process has it
 * @throws DatabaseUnusable when it has several names, or is not ours, or SQLite is not there
 * @throws UnsafeFile when another user may have made the lock
 */
export function lockDatabase(path: string): FileLock {
  requireBinary()
  makeFile(path)
  // Beside the real file, so that a symbolic link leads to the same lock.
  const real = realpathSync(path)
  refuseSecondName(path, real)
  const lock = `${real}.lock`
  // Made before SQLite makes it, which would let other users read it, and so lock it.
  try {
    closeSync(makePrivateFile(lock, statSync(real)))
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
    // It is from an earlier start or a concurrent one: only the attempt to lock shows which.
    closeToOthers(lock)
  }
  const locked = new SqliteFile(lock, { timeout: 0 })
  try {
    // Nothing is written, so no rollback file is needed.
    locked.pragma('journal_mode = MEMORY')
    locked.exec('BEGIN EXCLUSIVE')
    refuseForeignLog(path, real)
    refuseForeign(real)
  } catch (error) {
    locked.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw inUse(path)
  }
  const opened = [real, lock].map((file) => ({ file, identity: identityOf(file) }))
  return {
    check: () => {
      // Writes to an unlinked file are lost with the process. Without the lock file, a second process may
      // have started.
      const lost = opened.find(({ file, identity }) => identityOf(file) !== identity)
      if (lost)
        throw new DatabaseUnavailable(`${lost.file} was removed or replaced while the server had it open.`)
    },
    release: () => locked.close(),
  }
}

/** The identity of a file: the same after a rename, another after a replacement. */
function identityOf(file: string): string {
  const { dev, ino } = statSync(file, { throwIfNoEntry: false }) ?? {}
  return `${dev} ${ino}`
}

/**
 * Checks for everything that a start would refuse, without changing anything.
 *
 * @throws DatabaseInUse, DatabaseUnusable, and what SQLite throws
 */
export function checkWithoutLock(path: string): void {
  const real = realpathSync(path)
  refuseSecondName(path, real)
  const lock = `${real}.lock`
  checkPrivateFile(lock)
  if (existsSync(lock)) refuseLocked(path, lock)
  refuseForeignLog(path, real)
  refuseForeign(real)
  accessSync(real, constants.W_OK)
  accessSync(dirname(real), constants.W_OK)
}

function refuseLocked(path: string, lock: string) {
  const file = new SqliteFile(lock, { timeout: 0, readonly: true })
  try {
    file.prepare('SELECT 1 FROM sqlite_master').all()
  } catch (error) {
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw inUse(path)
  } finally {
    file.close()
  }
}

const inUse = (path: string) =>
  new DatabaseInUse(`The database ${path} is in use by another Restante process.`)

/** Made before SQLite makes it, so that it has a real path, and only its owner can read it. */
function makeFile(path: string) {
  const folder = dirname(resolve(path))
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
  // A new folder needs a sync of its parent: SQLite syncs only the folder of the file.
  if (made === undefined) return
  for (let below = folder; below !== dirname(made); below = dirname(below)) syncToDisk(dirname(below))
}

/** SQLite names the write-ahead log after the file, so two names would have two logs and break it. */
function refuseSecondName(path: string, real: string) {
  if (statSync(real).nlink === 1) return
  throw new DatabaseUnusable(
    `The database ${path} has a second hard link, through which another process may use it. Remove one of them.`,
  )
}

/**
 * A database that never had a log does not own the one beside it: a copy has replaced another database, and
 * SQLite would mix the two (sqlite.org/howtocorrupt.html, 1.4).
 */
function refuseForeignLog(path: string, real: string) {
  const log = statSync(`${real}-wal`, { throwIfNoEntry: false })
  if (!log?.size || !statSync(real).size || isInWalMode(real)) return
  throw new DatabaseUnusable(
    `${real}-wal is the log of an earlier database at ${path}. Remove ${real}-wal and ${real}-shm.`,
  )
}

/** Checked before any change: a file of another program must stay as it is. */
function refuseForeign(path: string) {
  // Writable: SQLite may have to roll back what a killed process began.
  const file = new SqliteFile(path, { readonly: !existsSync(`${path}-journal`) })
  try {
    const tables = tablesOf(file)
    if (tables.length === 0 || tables.includes('_prisma_migrations')) return
    throw new Error('it is a database of another program.')
  } finally {
    file.close()
  }
}
