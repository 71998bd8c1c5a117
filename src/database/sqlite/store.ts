import { PrismaClient } from '../../generated/prisma/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import type { Database, StoreLimits } from '../database.ts'
import { migrate } from '../migrate.ts'
import { holdDatabase, openStatements, SqliteAdapter } from './connection.ts'
import { findSessionVerb } from './find-session.ts'
import { inboxVerbs } from './inbox-verbs.ts'
import { purgeVerb } from './purge.ts'

/**
 * Opens the SQLite file for this process alone, created and migrated when needed.
 *
 * The verbs must be called one after the other, each when the last has settled: Prisma and the statements of
 * the inbox have a connection each, and a transaction of one would find the file locked by the other.
 *
 * @throws DatabaseInUse when another process has the file
 */
export async function openStore(path: string, limits: StoreLimits): Promise<Database> {
  const hold = holdDatabase(path)
  const adapter = new SqliteAdapter(path)
  await migrate(adapter)

  const statements = openStatements(path)
  const prisma = new PrismaClient({ adapter })
  const anyAccount = statements.prepare('SELECT 1 FROM account LIMIT 1')
  return {
    ...accountVerbs(prisma),
    ...findSessionVerb(statements),
    ...inboxVerbs(statements, limits),
    ...purgeVerb(statements, limits),
    ping: async () => void anyAccount.get(),
    close: async () => {
      await prisma.$disconnect()
      statements.close()
      hold.release()
    },
  }
}
