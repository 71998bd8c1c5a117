import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import { DatabaseUnusable } from './database.ts'

/**
 * The migrations from before 0.1 were merged into one. A script upgrades a database that has them, and gives
 * it the new history.
 */
const FIRST_MIGRATION = '20261126120000_init'

/** The last migration before 0.1, by provider. */
const LAST_BEFORE: Record<string, string> = {
  sqlite: '20261125231512_message_json',
  postgres: '20261123145335_init',
}

/** Whether a migration is from before 0.1: names begin with their date. */
export const isBeforeFirst = (migration: string): boolean => migration < FIRST_MIGRATION

/**
 * Upgrades a database of the versions before 0.1, in one transaction. Does nothing to any other.
 *
 * @param finished the names of the migrations that the database has
 * @param folder where prisma/ is
 * @throws DatabaseUnusable when the database is older still, or has a number of an inbox twice
 */
export async function upgradeFromBefore(
  connection: SqlDriverAdapter,
  finished: ReadonlySet<string>,
  folder: URL,
): Promise<void> {
  if (![...finished].some(isBeforeFirst)) return
  const { provider } = connection
  const last = LAST_BEFORE[provider] ?? ''
  if (!finished.has(last))
    throw new DatabaseUnusable(
      'it was last used by a version that is too old. Start the last version before 0.1 with it once.',
    )
  const [script, first] = await Promise.all([
    readFile(new URL(`before-0.1/${provider}.sql`, folder), 'utf8'),
    readFile(new URL(`migrations/${provider}/${FIRST_MIGRATION}/migration.sql`, folder)),
  ])
  const checksum = createHash('sha256').update(first).digest('hex')
  const begin = provider === 'sqlite' ? 'PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE' : 'BEGIN'
  try {
    await connection.executeScript(`${begin};
      ${script}
      DELETE FROM _prisma_migrations WHERE migration_name < '${last}';
      UPDATE _prisma_migrations SET migration_name = '${FIRST_MIGRATION}', checksum = '${checksum}';
      COMMIT`)
  } catch (error) {
    const { cause } = error as { cause?: { constraint?: { fields?: string[] } } }
    if (!cause?.constraint?.fields?.includes('recipient_id')) throw error
    throw new DatabaseUnusable(
      'an inbox has the same number twice, because two processes have served the file. Restore a backup.',
      { cause: error },
    )
  }
}
