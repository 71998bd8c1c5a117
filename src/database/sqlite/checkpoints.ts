/**
 * Checkpoints outside the commits. By default, SQLite makes the commit that finds 1 000 pages in the
 * write-ahead log write them back into the database, while its senders wait. Here a thread of its own does
 * that.
 *
 * The log starts over only when all of it was written back, which a concurrent checkpoint never achieves
 * (sqlite.org/wal.html#avoiding_excessively_large_wal_files). So the little that was committed meanwhile is
 * written back between two commits. A log that starts over stays short and is cheaper to sync: overwriting
 * does not change the file size, which saves a third of the sync time on ext4.
 */
import type SqliteFile from 'better-sqlite3'
import { openStatements } from './connection.ts'
import { ignoreTransient } from './errors.ts'
import { type DatabaseThread, startThread } from './start-thread.ts'

/** Pages that are worth a checkpoint: SQLite's own measure. */
const PAGES_WORTH = 1_000

/** 64 MB: a log of this length is written back completely, however long that takes. */
const LOG_PAGES_MAX = 16_000

interface LogState {
  log: number
  checkpointed: number
}

interface CheckpointVerbs {
  writeBack(): Promise<void>
  close(): Promise<void>
}

/** With so much not written back, background work does not add to it. */
const LONG_PAGES = 4_000

export interface Checkpoints {
  /** Starts a checkpoint when there is enough to write back. */
  startIfDue: () => void
  /** Whether the log is so long that it should be written back before background work adds to it. */
  isLogLong: () => boolean
  close: () => Promise<unknown>
}

/**
 * @param connection the connection of the commits
 * @param path its file
 */
export function checkpointsBeside(connection: SqliteFile.Database, path: string): Checkpoints {
  /** NOOP writes nothing, and returns how many pages the log has and how many of them were written back. */
  const logState = connection.prepare<[], LogState>('PRAGMA wal_checkpoint(NOOP)')
  const readLog = () => ignoreTransient(() => logState.get()) ?? { log: 0, checkpointed: 0 }
  let thread: Promise<DatabaseThread<CheckpointVerbs>> | undefined
  let underWay = false

  function startIfDue() {
    if (underWay) return
    const { log, checkpointed } = readLog()
    if (log - checkpointed < PAGES_WORTH) return
    underWay = true
    void checkpoint()
  }

  /** When it fails, the log would grow without end, so the writer thread ends with it. */
  async function checkpoint() {
    // Started when needed: it takes some megabytes.
    thread ??= startThread({ role: 'checkpoints', path }, (error) => {
      throw error
    })
    await (await thread).verbs.writeBack()
    underWay = false
    const { log, checkpointed } = readLog()
    if (log - checkpointed < PAGES_WORTH || log >= LOG_PAGES_MAX) writeBack(connection)
  }

  function isLogLong() {
    const { log, checkpointed } = readLog()
    return log - checkpointed >= LONG_PAGES
  }

  const close = async () => (await thread)?.verbs.close()

  return { startIfDue, isLogLong, close }
}

/** Opens the connection of the checkpoint thread. */
export function openCheckpoints(path: string) {
  const connection = openStatements(path)
  const verbs: CheckpointVerbs = {
    writeBack: async () => writeBack(connection),
    close: async () => void connection.close(),
  }
  return { verbs }
}

/**
 * Writes the log back, up to the oldest state that a reader still uses. The rest is safe in the log, and the
 * next checkpoint writes it.
 */
export function writeBack(connection: SqliteFile.Database) {
  ignoreTransient(() => connection.pragma('wal_checkpoint(PASSIVE)'))
}
