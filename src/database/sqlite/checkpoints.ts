/**
 * Checkpoints beside the commits. SQLite itself has the commit that finds the write-ahead log at 1 000 pages
 * write them back into the database: 20 ms where inboxes lie on many pages, for which its senders wait, and a
 * fifth of the time under load. Here a thread of its own does that.
 *
 * The log begins anew only when all of it was written back, which a checkpoint beside commits never gets to
 * (sqlite.org/wal.html#avoiding_excessively_large_wal_files). So when the log is long, what such a checkpoint
 * has left is written back between two commits.
 */
import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type SqliteFile from 'better-sqlite3'
import { isPassing } from './result-codes.ts'

/** Pages that are worth a checkpoint: SQLite's own measure. */
const PAGES_WORTH = 1_000

/** 64 MB. Under full load it is reached every other second, and what is left then takes some 30 ms. */
const LOG_PAGES_MAX = 16_000

/** What the thread is told. */
export type Order = 'checkpoint' | 'close'

export interface Checkpoints {
  /** Has a checkpoint made when there is enough to write back. */
  look: () => void
  close: () => Promise<void>
}

/**
 * @param connection that of the commits
 * @param path the file that it has open
 */
export function checkpointsBeside(connection: SqliteFile.Database, path: string): Checkpoints {
  /** NOOP writes nothing, and tells how many pages the log has. */
  const logState = connection.prepare<[], { log: number }>('PRAGMA wal_checkpoint(NOOP)')
  const pagesInLog = () => attempt(() => logState.get()?.log) ?? 0
  let thread: Worker | undefined
  let underWay = false
  /** As many pages the log had when the last checkpoint began. */
  let pagesBefore = 0

  function look() {
    const pages = pagesInLog()
    if (pages < pagesBefore) pagesBefore = 0
    if (underWay || pages - pagesBefore < PAGES_WORTH) return
    underWay = true
    pagesBefore = pages
    // Not before it is needed: it takes some megabytes.
    thread ??= startThread()
    thread.postMessage('checkpoint' satisfies Order)
  }

  function startThread(): Worker {
    // The same file runs built (.js) and as a source (.ts).
    const file = new URL(`./checkpoint-thread${extname(import.meta.url)}`, import.meta.url)
    const started = new Worker(file, { workerData: path })
    started.on('message', () => {
      underWay = false
      if (pagesInLog() >= LOG_PAGES_MAX) writeBack(connection)
    })
    started.on('error', (error) => {
      throw error
    })
    return started
  }

  async function close() {
    if (!thread) return
    thread.postMessage('close' satisfies Order)
    await once(thread, 'exit')
  }

  return { look, close }
}

/** Writes the log back, as far as nobody reads an older state of the database. */
export function writeBack(connection: SqliteFile.Database) {
  attempt(() => connection.pragma('wal_checkpoint(PASSIVE)'))
}

/**
 * What cannot be written now, on a full disk for example, is safe in the log, and the next checkpoint writes
 * it.
 */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (!isPassing(error)) throw error
    return undefined
  }
}
