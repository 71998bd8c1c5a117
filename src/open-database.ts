import { type Config, databaseFile, isPostgres } from './config.ts'
import type { Database } from './database/database.ts'
import type { DatabaseLog } from './database/restores.ts'
import type { SharedDatabase } from './database/shared-database.ts'
import { openSqlite } from './database/sqlite/open.ts'

/**
 * Opens the database of the configuration: a SQLite file for one node, PostgreSQL for several.
 *
 * @param onFatal called when it is lost for good; the outcome of writes under way is then unknown
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function openDatabase(
  config: Config,
  log: DatabaseLog,
  onFatal: (error: Error) => void,
): Promise<{ database: Database; shared?: SharedDatabase }> {
  if (!isPostgres(config.databaseUrl))
    return { database: await openSqlite(databaseFile(config.databaseUrl), config, log, onFatal) }
  // Loaded only when needed: loading takes a quarter of the start.
  const { openPostgres } = await import('./database/postgres/open.ts')
  const shared = await openPostgres(config.databaseUrl, config, log)
  return { database: shared, shared }
}
