import { PrismaClient } from '../../generated/prisma/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import type { Database, StoreLimits } from '../database.ts'
import { migrate } from '../migrate.ts'
import { SqliteAdapter } from './adapter.ts'
import { checkpointsBeside } from './checkpoints.ts'
import { holdDatabase, openStatements } from './connection.ts'
import { findSessionVerb } from './find-session.ts'
import { openInboxIndex } from './inbox-index.ts'
import { inboxVerbs } from './inbox-verbs.ts'
import { purgeVerb } from './purge.ts'
import { Recipients } from './recipients.ts'
import { ifPossible } from './result-codes.ts'

interface Store {
  verbs: Database
  /** To be called when a verb has settled. */
  afterEach: () => void
}

/**
 * Opens the SQLite file for this process alone, created and migrated when needed.
 *
 * The verbs must be called one after the other, each when the last has settled: Prisma and the statements of
 * the inbox have a connection each, and a transaction of one would find the file locked by the other.
 *
 * @throws DatabaseInUse when another process has the file
 */
export async function openStore(path: string, limits: StoreLimits): Promise<Store> {
  const hold = holdDatabase(path)
  const adapter = new SqliteAdapter(path)
  await migrate(adapter)

  const statements = openStatements(path)
  const prisma = new PrismaClient({ adapter })
  const index = openInboxIndex(statements)
  const recipients = new Recipients(statements)
  const checkpoints = checkpointsBeside(statements, path)
  const anyAccount = statements.prepare('SELECT 1 FROM account LIMIT 1')
  const accounts = accountVerbs(prisma)
  const verbs: Database = {
    ...accounts,
    deleteAccount: (account, deletedAtMs) =>
      accounts.deleteAccount(account, deletedAtMs).finally(() => recipients.forget()),
    ...findSessionVerb(statements),
    ...inboxVerbs(statements, index, recipients, limits),
    ...purgeVerb(statements, index, limits),
    ping: async () => void anyAccount.get(),
    close: async () => {
      ifPossible(statements.transaction(index.mergeAll).immediate)
      await checkpoints.close()
      await prisma.$disconnect()
      statements.close()
      hold.release()
    },
  }
  return { verbs, afterEach: checkpoints.look }
}
