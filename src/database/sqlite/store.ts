import { PrismaClient } from '../../generated/prisma/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import type { Database, StoreLimits } from '../database.ts'
import { migrate } from '../migrate.ts'
import { SqliteAdapter } from './adapter.ts'
import { checkpointsBeside } from './checkpoints.ts'
import { holdDatabase, openStatements } from './connection.ts'
import { findSessionVerb } from './find-session.ts'
import { inboxVerbs } from './inbox-verbs.ts'
import { purgeVerb } from './purge.ts'

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
  const checkpoints = checkpointsBeside(statements, path)
  const anyAccount = statements.prepare('SELECT 1 FROM account LIMIT 1')
  const verbs = {
    ...accountVerbs(prisma),
    ...findSessionVerb(statements),
    ...inboxVerbs(statements, limits),
    ...purgeVerb(statements, limits),
    ping: async () => void anyAccount.get(),
    close: async () => {
      await checkpoints.close()
      await prisma.$disconnect()
      statements.close()
      hold.release()
    },
  }
  return { verbs, afterEach: checkpoints.look }
}
