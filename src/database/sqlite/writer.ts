import { PrismaClient } from '../../generated/prisma/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import { administrationVerbs } from '../administration-verbs.ts'
import type { Database, StoreLimits } from '../database.ts'
import { migrate } from '../migrate.ts'
import { pushVerbs } from '../push-verbs.ts'
import { tokenVerbs } from '../token-verbs.ts'
import { SqliteAdapter } from './adapter.ts'
import { checkpointsBeside } from './checkpoints.ts'
import { commitVerb } from './commit-verb.ts'
import { openStatements } from './connection.ts'
import { holdDatabase } from './hold.ts'
import { purgeVerb } from './purge-verb.ts'
import { claimVerbs } from './push-statements.ts'
import type { ReadVerbs } from './reader.ts'
import { Recipients } from './recipients.ts'
import { moveOnIfMarked } from './restores.ts'

/** The verbs of the writer. */
export type WriteVerbs = Omit<Database, keyof ReadVerbs> & Pick<Database, 'ping'>

export interface Writer {
  verbs: WriteVerbs
  /** Called before each verb. */
  before: () => void
  /** Called after each verb has settled. */
  after: () => void
  /** How many inboxes were moved on, because the file is a restored backup. */
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
  const hold = holdDatabase(path)
  const adapter = new SqliteAdapter(path)
  await migrate(adapter)

  const statements = openStatements(path)
  const restored = moveOnIfMarked(statements)
  const prisma = new PrismaClient({ adapter })
  const recipients = new Recipients(statements)
  const checkpoints = checkpointsBeside(statements, path)
  // Changes nothing, but is written all the same: proves that writing works.
  const writeSomething = statements.prepare('UPDATE store SET id = 1')
  writeSomething.run()
  const accounts = accountVerbs(prisma)
  const verbs: WriteVerbs = {
    ...accounts,
    ...tokenVerbs(prisma),
    ...pushVerbs(prisma),
    ...claimVerbs(statements),
    ...administrationVerbs(prisma),
    deleteAccount: (account, deletedAtMs) =>
      accounts.deleteAccount(account, deletedAtMs).finally(() => recipients.forget()),
    block: (owner, blocked, createdAtMs) =>
      accounts.block(owner, blocked, createdAtMs).finally(() => recipients.forgetOne(owner.username)),
    updateAccount: (owner, changes) =>
      accounts.updateAccount(owner, changes).finally(() => recipients.forgetOne(owner.username)),
    unblock: (owner, blocked) =>
      accounts.unblock(owner, blocked).finally(() => recipients.forgetOne(owner.username)),
    ...commitVerb(statements, recipients, limits),
    ...purgeVerb(statements, checkpoints.isLogLong),
    ping: async () => void writeSomething.run(),
    close: async () => {
      await checkpoints.close()
      await prisma.$disconnect()
      statements.close()
      hold.release()
    },
  }
  return { verbs, before: hold.check, after: checkpoints.look, restored }
}
