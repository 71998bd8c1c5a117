/**
 * The SQLite store. SQLite takes one writer at a time, and a sync blocks the thread that waits for it, so the
 * store has threads of its own: the writer commits, the reader reads pages from snapshots beside it and makes
 * the JSON of long ones, and a third makes checkpoints. No transaction ever meets another, no read delays a
 * commit, and neither a sync nor a long page delays HTTP.
 *
 * A message costs one row: the accounts of its sender and its recipient stay as they are, because the numbers
 * and sizes of an inbox are those of its last row (inbox-expressions.ts). The writer caches them
 * (recipients.ts).
 */
import { realpathSync } from 'node:fs'
import { isOpenToOthers } from '../../private-files.ts'
import type { Database, StoreLimits } from '../database.ts'
import { type DatabaseLog, restoredLine } from '../restores.ts'
import { unpack } from './packed-page.ts'
import type { ReadVerbs } from './reader.ts'
import { startThread } from './start-thread.ts'
import type { WriteVerbs } from './writer.ts'

/**
 * Opens the SQLite database with a writer thread and a reader thread.
 *
 * @param path the SQLite file, created and migrated when needed
 * @param onFatal called when a database thread has died: the outcome of in-flight writes is unknown, so the
 * process must exit
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it cannot be opened
 */
export async function openSqlite(
  path: string,
  limits: StoreLimits,
  log: DatabaseLog,
  onFatal: (error: Error) => void,
): Promise<Database> {
  // The reader opens what the writer has made.
  const { verbs: writer, restored } = await startThread<WriteVerbs>({ role: 'writer', path, limits }, onFatal)
  if (restored !== undefined) log.warn(restoredLine('The database was restored from a backup', restored))
  warnOfOthers(path, log)
  const { verbs: reader } = await startThread<ReadVerbs>({ role: 'reader', path }, onFatal)
  return {
    ...reader,
    ...writer,
    readInbox: async (...args) => unpack(await reader.readInbox(...args)),
    ping: async () => {
      await Promise.all([writer.ping(), reader.ping()])
    },
    close: async () => {
      // The writer last: the last to close the file writes the log back.
      await reader.close()
      await writer.close()
    },
  }
}

/** For files of older versions, or restored ones. The log and its index have the mode of the database. */
function warnOfOthers(path: string, log: DatabaseLog) {
  const real = realpathSync(path)
  const open = [real, `${real}-wal`, `${real}-shm`].filter(isOpenToOthers)
  if (open.length > 0) log.warn(`Other users can read the messages. Run: chmod 600 ${open.join(' ')}`)
}
