import { realpathSync } from 'node:fs'
import { isOpenToOthers } from '../../private-files.ts'
import type { Database, StoreLimits } from '../database.ts'
import { type DatabaseLog, restoredLine } from '../restores.ts'
import { type PackedPage, unpack } from './packed-page.ts'
import { type DatabaseThread, startThread } from './start-thread.ts'

/**
 * Opens the SQLite database with a writer thread and a reader thread.
 *
 * @param path the SQLite file, created and migrated when needed
 * @param onLoss called when a database thread has died: the outcome of in-flight writes is unknown, so the
 * process must exit
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it cannot be opened
 */
export async function openSqlite(
  path: string,
  limits: StoreLimits,
  log: DatabaseLog,
  onLoss: (error: Error) => void,
): Promise<Database> {
  // The reader opens what the writer has made.
  const writer = await startThread({ role: 'writer', path, limits }, onLoss)
  if (writer.restored !== undefined)
    log.warn(restoredLine('The database was restored from a backup', writer.restored))
  warnOfOthers(path, log)
  const reader = await startThread({ role: 'reader', path, limits }, onLoss)
  const [write, read] = [verbOf(writer), verbOf(reader)]
  return {
    createAccount: write('createAccount'),
    changePassword: write('changePassword'),
    deleteAccount: write('deleteAccount'),
    openSession: write('openSession'),
    extendSession: write('extendSession'),
    endSession: write('endSession'),
    createToken: write('createToken'),
    revokeToken: write('revokeToken'),
    noteTokenUse: write('noteTokenUse'),
    createPushSubscription: write('createPushSubscription'),
    deletePushSubscription: write('deletePushSubscription'),
    forgetPushSubscription: write('forgetPushSubscription'),
    claimHints: write('claimHints'),
    extendHint: write('extendHint'),
    dropHint: write('dropHint'),
    takeHintsBack: write('takeHintsBack'),
    block: write('block'),
    unblock: write('unblock'),
    updateAccount: write('updateAccount'),
    disableAccount: write('disableAccount'),
    enableAccount: write('enableAccount'),
    createInvite: write('createInvite'),
    revokeInvite: write('revokeInvite'),
    commit: write('commit'),
    purge: write('purge'),
    readInbox: async (...args) => unpack((await reader.call('readInbox', args)) as PackedPage),
    newestSeq: read('newestSeq'),
    findAccount: read('findAccount'),
    findSession: read('findSession'),
    lastLoginFrom: read('lastLoginFrom'),
    findMessage: read('findMessage'),
    listTokens: read('listTokens'),
    findToken: read('findToken'),
    listPushSubscriptions: read('listPushSubscriptions'),
    findSleepers: read('findSleepers'),
    isBlocked: read('isBlocked'),
    listBlocks: read('listBlocks'),
    countInbox: read('countInbox'),
    listSessions: read('listSessions'),
    listAccounts: read('listAccounts'),
    findListedAccount: read('findListedAccount'),
    isInviteValid: read('isInviteValid'),
    listInvites: read('listInvites'),
    ping: async () => {
      await Promise.all([write('ping')(), read('ping')()])
    },
    close: async () => {
      // The writer last: the last to close the file writes the log back.
      await reader.close()
      await writer.close()
    },
  }
}

const verbOf =
  (thread: DatabaseThread) =>
  <Verb extends keyof Database>(verb: Verb) =>
    ((...args: unknown[]) => thread.call(verb, args)) as Database[Verb]

/** For files of older versions, or restored ones. The log and its index have the mode of the database. */
function warnOfOthers(path: string, log: DatabaseLog) {
  const real = realpathSync(path)
  const open = [real, `${real}-wal`, `${real}-shm`].filter(isOpenToOthers)
  if (open.length > 0) log.warn(`Other users can read the messages. Run: chmod 600 ${open.join(' ')}`)
}
