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
import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type SqliteFile from 'better-sqlite3'
import { ifPossible } from './result-codes.ts'

/** Pages that are worth a checkpoint: SQLite's own measure. */
const PAGES_WORTH = 1_000

/** 64 MB: a log of this length is written back completely, however long that takes. */
const LOG_PAGES_MAX = 16_000

interface LogState {
  log: number
  checkpointed: number
}

/** The messages to the thread. */
export type Order = 'checkpoint' | 'close'

/** With so much not written back, background work does not add to it. */
const LONG_PAGES = 4_000

export interface Checkpoints {
  /** Starts a checkpoint when there is enough to write back. */
  look: () => void
  /** Whether the log is so long that it should be written back before background work adds to it. */
  isLogLong: () => boolean
  close: () => Promise<void>
}

/**
 * @param connection the connection of the commits
 * @param path its file
 */
export function checkpointsBeside(connection: SqliteFile.Database, path: string): Checkpoints {
  /** NOOP writes nothing, and returns how many pages the log has and how many of them were written back. */
  const logState = connection.prepare<[], LogState>('PRAGMA wal_checkpoint(NOOP)')
  const readLog = () => ifPossible(() => logState.get()) ?? { log: 0, checkpointed: 0 }
  let thread: Worker | undefined
  let underWay = false
  let closing = false

  function look() {
    if (underWay) return
    const { log, checkpointed } = readLog()
    if (log - checkpointed < PAGES_WORTH) return
    underWay = true
    // Started when needed: it takes some megabytes.
    thread ??= startThread()
    thread.postMessage('checkpoint' satisfies Order)
  }

  function startThread(): Worker {
    // The same file runs built (.js) and as a source (.ts).
    const file = new URL(`./checkpoint-thread${extname(import.meta.url)}`, import.meta.url)
    const started = new Worker(file, { workerData: path })
    started.on('message', () => {
      underWay = false
      const { log, checkpointed } = readLog()
      if (log - checkpointed < PAGES_WORTH || log >= LOG_PAGES_MAX) writeBack(connection)
    })
    // Without it the log would grow without end, so the database thread ends with it.
    started.on('error', (error) => {
      throw error
    })
    started.on('exit', (code) => {
      if (!closing) throw new Error(`The checkpoint thread ended by itself, with ${code}.`)
    })
    return started
  }

  function isLogLong() {
    const { log, checkpointed } = readLog()
    return log - checkpointed >= LONG_PAGES
  }

  async function close() {
    closing = true
    if (!thread) return
    thread.postMessage('close' satisfies Order)
    await once(thread, 'exit')
  }

  return { look, isLogLong, close }
}

/**
 * Writes the log back, up to the oldest state that a reader still uses. The rest is safe in the log, and the
 * next checkpoint writes it.
 */
export function writeBack(connection: SqliteFile.Database) {
  ifPossible(() => connection.pragma('wal_checkpoint(PASSIVE)'))
}
