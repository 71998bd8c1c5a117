import { randomBytes } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import type pg from 'pg'
import { PrismaClient } from '../../generated/prisma-postgres/client.ts'
import { accountWrites } from '../account-writes.ts'
import { administrationWrites } from '../administration-writes.ts'
import { commonReads } from '../common-reads.ts'
import { DatabaseUnavailable, type StoreLimits } from '../database.ts'
import { hintMarks } from '../hint-marks.ts'
import type { PrismaDatabase } from '../prisma.ts'
import { pushSubscriptionWrites } from '../push-subscription-writes.ts'
import type { DatabaseLog } from '../restores.ts'
import type { NotificationHandlers, SharedDatabase } from '../shared-database.ts'
import { tokenWrites } from '../token-writes.ts'
import { Barrier, endEverywhere } from './barrier.ts'
import { commitVerb } from './commit.ts'
import { openPool, transactionOptions } from './connection.ts'
import { toDatabaseError } from './errors.ts'
import { Listener } from './listener.ts'
import { nodeVerbs } from './nodes.ts'
import { prepareDatabase, unusable } from './prepare.ts'
import { purgeVerb } from './purge.ts'
import { pushHints } from './push-hints.ts'
import { dialectFor, queriesOn } from './queries.ts'
import { inboxReads } from './read-inbox.ts'
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

  const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { schema }), transactionOptions })
  // TypeScript cannot compare the generic methods of two generated clients.
  const models = prisma as unknown as PrismaDatabase
  const [query, dialect] = [queriesOn(pool), dialectFor(nodeId)]
  const writes = {
    ...accountWrites(models),
    ...administrationWrites(models),
    ...tokenWrites(models),
    ...pushSubscriptionWrites(models),
  }
  return {
    clock,
    ...guarded(pool, {
      ...writes,
      ...endEverywhere(writes, barrier),
      ...commitVerb(pool, nodeId, channel, limits),
      ...inboxReads(pool),
      ...commonReads(query, dialect),
      ...hintMarks(query, dialect),
      ...pushHints(pool, nodeId),
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
function guarded<Verbs extends Record<keyof Verbs, Verb>>(pool: pg.Pool, verbs: Verbs): Verbs {
  const guard = <V extends Verb>(verb: V) =>
    (async (...args) => {
      if (pool.waitingCount >= WAITING_MAX) throw new DatabaseUnavailable('The database is overloaded.')
      try {
        return await verb(...args)
      } catch (error) {
        throw toDatabaseError(error)
      }
    }) as V
  for (const name of Object.keys(verbs) as (keyof Verbs)[]) verbs[name] = guard(verbs[name])
  return verbs
}
