import { randomBytes } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import type { PrismaClient as SqlitePrismaClient } from '../../generated/prisma/client.ts'
import { PrismaClient } from '../../generated/prisma-postgres/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import { DatabaseUnavailable, DatabaseUnusable, type StoreLimits } from '../database.ts'
import { migrate } from '../migrate.ts'
import type { Hearing, SharedDatabase } from '../shared-database.ts'
import { commitVerb } from './commit-verb.ts'
import { openPool } from './connection.ts'
import { asDatabaseError } from './errors.ts'
import { Listener } from './listener.ts'
import { MigrationAdapter } from './migration-adapter.ts'
import { nodeVerbs } from './node-verbs.ts'
import { purgeVerb } from './purge-verb.ts'
import { readVerbs } from './read-verbs.ts'

/** Calls that may wait for a connection; one more is refused, so that they cannot fill the memory. */
const WAITING_MAX = 10_000

/** Of our own choosing: nodes that start at once migrate one after the other. */
const MIGRATION_LOCK = 7_305_114_877

/**
 * Opens a PostgreSQL database that other nodes may be using, migrated when needed.
 *
 * @throws DatabaseUnusable when it cannot be reached or opened
 */
export async function openPostgres(url: string, limits: StoreLimits): Promise<SharedDatabase> {
  const nodeId = randomBytes(9).toString('base64url')
  const pool = openPool(url)
  const { clock, ...verbs } = nodeVerbs(pool, nodeId)
  try {
    await migrateAlone(url)
    // From now on it is the database's time.
    await verbs.beat()
  } catch (error) {
    await pool.end()
    throw unusable(url, error)
  }

  // Generated from the same models as the one that the verbs are written for.
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) }) as unknown as SqlitePrismaClient
  const listeners: Listener[] = []
  return {
    clock,
    ...guarded(pool, {
      ...accountVerbs(prisma),
      ...commitVerb(pool, nodeId, limits),
      ...readVerbs(pool),
      ...purgeVerb(pool),
      ...verbs,
    }),
    listen: (hearing: Hearing) => {
      const listener = new Listener(url, nodeId, hearing)
      listeners.push(listener)
      return listener
    },
    close: async () => {
      await Promise.all(listeners.map((listener) => listener.close()))
      await prisma.$disconnect()
      await pool.end()
    },
  }
}

/** Without the URL, which has the password in it. */
export function unusable(url: string, error: unknown): DatabaseUnusable {
  const { host, pathname } = new URL(url)
  // To a name with several addresses there are several reasons.
  const reason = error instanceof AggregateError ? error.errors[0] : error
  const message = `The database ${host}${pathname} cannot be opened: ${(reason as Error).message}`
  return new DatabaseUnusable(message, { cause: error })
}

/** Also while other nodes start: who comes second finds nothing to do. */
export async function migrateAlone(url: string) {
  const holder = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  // When it breaks, the migration fails too, and says why.
  holder.on('error', () => {})
  await holder.connect()
  try {
    await holder.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    await migrate(new MigrationAdapter({ connectionString: url, max: 2 }))
  } finally {
    await holder.end()
  }
}

type Verb = (...args: never[]) => Promise<unknown>

/** Tells every caller in the same way when the database cannot serve now. */
function guarded<V extends { [Name in keyof V]: Verb }>(pool: pg.Pool, verbs: V): V {
  const guard =
    (verb: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]) => {
      if (pool.waitingCount >= WAITING_MAX) throw new DatabaseUnavailable('The database has too much to do.')
      try {
        return await verb(...args)
      } catch (error) {
        throw asDatabaseError(error)
      }
    }
  return Object.fromEntries(
    Object.entries<Verb>(verbs).map(([name, verb]) => [name, guard(verb as Parameters<typeof guard>[0])]),
  ) as unknown as V
}
