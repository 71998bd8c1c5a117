import { type Config, databaseFile, isPostgres } from './config.ts'
import type { Database } from './database/database.ts'
import type { DatabaseLog } from './database/restores.ts'
import type { SharedDatabase } from './database/shared-database.ts'
import { openSqlite } from './database/sqlite/open.ts'

/**
 * Opens the database: one node alone has its SQLite file; several share a PostgreSQL database.
 *
 * @param onLoss called when it is lost for good
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function openDatabase(
  config: Config,
  log: DatabaseLog,
  onLoss: (error: Error) => void,
): Promise<{ database: Database; shared?: SharedDatabase }> {
  if (!isPostgres(config.databaseUrl))
    return { database: await openSqlite(databaseFile(config.databaseUrl), config, log, onLoss) }
  // Not before it is wanted: to load it takes a quarter of the time of a start.
  const { openPostgres } = await import('./database/postgres/open.ts')
  const shared = await openPostgres(config.databaseUrl, config, log)
  return { database: shared, shared }
}
