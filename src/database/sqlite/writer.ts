import { PrismaClient } from '../../generated/prisma/client.ts'
import { accountWrites } from '../account-writes.ts'
import { administrationWrites } from '../administration-writes.ts'
import type { Database, StoreLimits } from '../database.ts'
import { hintMarks } from '../hint-marks.ts'
import { pushSubscriptionWrites } from '../push-subscription-writes.ts'
import { tokenWrites } from '../token-writes.ts'
import { checkpointsBeside } from './checkpoints.ts'
import { commitVerb } from './commit.ts'
import { openExclusively } from './file/exclusive.ts'
import { purgeVerb } from './purge.ts'
import { hintClaims } from './push-hints.ts'
import { DIALECT, queriesOn } from './queries.ts'
import type { ReadVerbs } from './reader.ts'
import { Recipients } from './recipients.ts'
import { skipNumbersIfBackup } from './restores.ts'

/** The verbs of the writer. */
export type WriteVerbs = Omit<Database, keyof ReadVerbs> & Pick<Database, 'ping' | 'close'>

export interface Writer {
  verbs: WriteVerbs
  /** Called before each verb. */
  before: () => void
  /** Called after each verb has settled. */
  after: () => void
  /** How many inboxes skip numbers, because the file is a restored backup. */
  restored: number | undefined
}

/**
 * Opens the SQLite file for this process alone, created and migrated when needed.
 *
 * The verbs must be called one after the other, each when the last has settled: Prisma and the statements
 * have a connection each, and a transaction of one would find the file locked by the other.
 *
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it must not be served
 */
export async function openWriter(path: string, limits: StoreLimits): Promise<Writer> {
  const { statements, adapter, check, close } = await openExclusively(path)
  const restored = skipNumbersIfBackup(statements)
  const prisma = new PrismaClient({ adapter })
  const recipients = new Recipients(statements)
  const checkpoints = checkpointsBeside(statements, path)
  // Writes a row that stays the same: proves that writing works.
  const writeSomething = statements.prepare('UPDATE store SET id = 1')
  writeSomething.run()
  const accounts = accountWrites(prisma)
  const verbs: WriteVerbs = {
    ...accounts,
    ...tokenWrites(prisma),
    ...pushSubscriptionWrites(prisma),
    ...hintMarks(queriesOn(statements), DIALECT),
    ...hintClaims(statements),
    ...administrationWrites(prisma),
    deleteAccount: (account, deletedAtMs) =>
      accounts.deleteAccount(account, deletedAtMs).finally(() => recipients.clear()),
    block: (owner, blocked, createdAtMs) =>
      accounts.block(owner, blocked, createdAtMs).finally(() => recipients.evict(owner.username)),
    updateAccount: (owner, changes) =>
      accounts.updateAccount(owner, changes).finally(() => recipients.evict(owner.username)),
    unblock: (owner, blocked) =>
      accounts.unblock(owner, blocked).finally(() => recipients.evict(owner.username)),
    ...commitVerb(statements, recipients, limits),
    ...purgeVerb(statements, checkpoints.isLogLong),
    ping: async () => void writeSomething.run(),
    close: async () => {
      await checkpoints.close()
      await prisma.$disconnect()
      close()
    },
  }
  return { verbs, before: check, after: checkpoints.startIfDue, restored }
}
