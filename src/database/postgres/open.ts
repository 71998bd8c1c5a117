import { randomBytes } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import type pg from 'pg'
import type { PrismaClient as SqlitePrismaClient } from '../../generated/prisma/client.ts'
import { PrismaClient } from '../../generated/prisma-postgres/client.ts'
import { accountVerbs } from '../account-verbs.ts'
import { administrationVerbs } from '../administration-verbs.ts'
import { DatabaseUnavailable, type StoreLimits } from '../database.ts'
import { pushVerbs } from '../push-verbs.ts'
import type { DatabaseLog } from '../restores.ts'
import type { NotificationHandlers, SharedDatabase } from '../shared-database.ts'
import { tokenVerbs } from '../token-verbs.ts'
import { administrationReads } from './administration-reads.ts'
import { Barrier, endEverywhere } from './barrier.ts'
import { commitVerb } from './commit-verb.ts'
import { openPool } from './connection.ts'
import { asDatabaseError } from './errors.ts'
import { Listener } from './listener.ts'
import { nodeVerbs } from './node-verbs.ts'
import { prepareDatabase, unusable } from './prepare.ts'
import { purgeVerb } from './purge-verb.ts'
import { pushStatements } from './push-statements.ts'
import { readVerbs } from './read-verbs.ts'
import { restoreCheck } from './restores.ts'

/** Calls that may wait for a connection; one more is refused, so that they cannot fill the memory. */
const WAITING_MAX = 10_000

/**
 * Opens a PostgreSQL database that other nodes may be using, migrated when needed.
 *
 * @throws DatabaseUnusable when it cannot be reached or opened
 */
export async function openPostgres(
  url: string,
  limits: StoreLimits,
  log: DatabaseLog,
): Promise<SharedDatabase> {
  const nodeId = randomBytes(9).toString('base64url')
  const place = await prepareDatabase(url)
  const { schema, channel } = place
  const checkRestore = restoreCheck(log)
  const pool = openPool(place, checkRestore)
  const barrier = new Barrier(pool, channel, nodeId)
  const listener = new Listener(place, nodeId, barrier, checkRestore)
  const { clock, ...verbs } = nodeVerbs(pool, nodeId, channel)
  try {
    // Listens first: other nodes wait for the replies of a node that they know.
    await listener.open()
    // From the first beat on, the clock is the database's.
    await verbs.beat()
  } catch (error) {
    await listener.close()
    await pool.end()
    throw unusable(url, error)
  }

  const adapter = new PrismaPg(pool, { schema })
  // Generated from the same models as the one that the verbs are written for.
  const prisma = new PrismaClient({ adapter }) as unknown as SqlitePrismaClient
  const accounts = {
    ...accountVerbs(prisma),
    ...administrationVerbs(prisma),
    ...tokenVerbs(prisma),
    ...pushVerbs(prisma),
  }
  return {
    clock,
    ...guarded(pool, {
      ...accounts,
      ...endEverywhere(accounts, barrier),
      ...commitVerb(pool, nodeId, channel, limits),
      ...readVerbs(pool, nodeId),
      ...pushStatements(pool, nodeId),
      ...administrationReads(pool),
      ...purgeVerb(pool),
      ...verbs,
    }),
    listen: (handlers: NotificationHandlers) => {
      listener.subscribe(handlers)
      return { pulse: () => listener.pulse(), reconnect: () => listener.reconnect() }
    },
    close: async () => {
      await listener.close()
      await prisma.$disconnect()
      await pool.end()
    },
  }
}

type Verb = (...args: never[]) => Promise<unknown>

/** Turns transient failures of every verb into DatabaseUnavailable. */
function guarded<V extends { [Name in keyof V]: Verb }>(pool: pg.Pool, verbs: V): V {
  const guard =
    (verb: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]) => {
      if (pool.waitingCount >= WAITING_MAX) throw new DatabaseUnavailable('The database is overloaded.')
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
