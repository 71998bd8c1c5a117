import type { Database, StoreLimits } from '../database.ts'
import type { Call } from './calls.ts'
import type { ReadVerbs } from './read-verbs.ts'
import { startThread } from './threads.ts'
import type { WriteVerbs } from './writer.ts'

/** All verbs, by the thread that does them: the compiler misses one that is missing. */
const WRITES: Record<Exclude<keyof WriteVerbs, 'ping' | 'close'>, 'writer'> = {
  createAccount: 'writer',
  changePassword: 'writer',
  deleteAccount: 'writer',
  openSession: 'writer',
  extendSession: 'writer',
  endSession: 'writer',
  commit: 'writer',
  purge: 'writer',
}
const READS: Record<Exclude<keyof ReadVerbs, 'ping'>, 'reader'> = {
  readInbox: 'reader',
  newestSeq: 'reader',
  findAccount: 'reader',
  findSession: 'reader',
  findMessage: 'reader',
}

/**
 * Opens the SQLite database with a thread that writes and one that reads.
 *
 * @param path the SQLite file, created and migrated when needed
 * @param onLoss called when a thread dies: what it was doing is unknown, so the process must exit
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it cannot be opened
 */
export async function openSqlite(
  path: string,
  limits: StoreLimits,
  onLoss: (error: Error) => void,
): Promise<Database> {
  // The reader opens what the writer has made.
  const writer = await startThread({ role: 'writer', path, limits }, onLoss)
  const reader = await startThread({ role: 'reader', path, limits }, onLoss)
  const threads = { writer, reader }
  const verbs = Object.entries({ ...WRITES, ...READS }).map(([verb, thread]) => [
    verb,
    (...args: unknown[]) => threads[thread].call(verb as Call['verb'], args),
  ])
  return {
    ...(Object.fromEntries(verbs) as Omit<Database, 'ping' | 'close'>),
    ping: async () => {
      await Promise.all([writer.call('ping', []), reader.call('ping', [])])
    },
    close: async () => {
      // The writer last, because the last to close the file writes the log back.
      await reader.close()
      await writer.close()
    },
  }
}
