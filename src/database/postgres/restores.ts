import pg from 'pg'
import { type DatabaseLog, restoredLine, SKIP_MIN } from '../restores.ts'

/**
 * The server that a connection leads to. A standby that takes over goes on with a higher timeline, and so
 * does a recovery to a point in time; a new cluster has another identifier.
 */
const SERVER = `
  (SELECT system_identifier::text AS identifier,
          ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline
     FROM pg_control_system()) AS server`

const COMPARE = `
SELECT system_identifier IS NOT NULL AS known, identifier, server.timeline,
       (system_identifier, store.timeline) IS NOT DISTINCT FROM (identifier, server.timeline) AS same
  FROM store, ${SERVER}
 WHERE id = 1`

interface Comparison {
  known: boolean
  same: boolean
  identifier: string
  timeline: number
}

const NOTE = 'UPDATE store SET system_identifier = $1, timeline = $2 WHERE id = 1'

/** As in sqlite/restores.ts. A clock that cannot be right gives 0. */
const SKIP_NUMBERS = `
WITH clock AS (
  SELECT CASE WHEN number < 2 ^ 52 THEN number ELSE 0 END AS next
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS number) AS _
),
floor_raised AS (
  UPDATE store SET floor_seq = CASE WHEN floor_seq < next THEN next ELSE floor_seq + ${SKIP_MIN} END
    FROM clock
),
skipped AS (
  INSERT INTO restored_range (account_id, from_seq, to_seq)
  SELECT id, newest_seq + 1, CASE WHEN newest_seq < next THEN next ELSE newest_seq + ${SKIP_MIN} END
    FROM account, clock
   WHERE deleted_at IS NULL
  RETURNING account_id, to_seq
)
UPDATE account SET newest_seq = to_seq FROM skipped WHERE id = account_id`

/** A million inboxes take half a minute. */
const SKIP_MS_MAX = 3_600_000

/** No privilege for these functions, or a server that has none: SQLSTATE of a hosted one. */
const UNDETECTABLE = new Set(['42501', '0A000', '42883'])

const UNDETECTED =
  'The database does not say which server it is, so restores and failovers are not detected. ' +
  'Run "restante restored" after one, before the nodes start.'

/**
 * Called for a new connection before its first use, so that no number of another server is given out again.
 */
export type RestoreCheck = (client: pg.ClientBase) => Promise<void>

/** A check for the connections of one node. It logs the result. */
export function restoreCheck(log: DatabaseLog): RestoreCheck {
  let warned = false
  return async (client) => {
    try {
      const inboxes = await skipNumbersIfRestored(client)
      if (inboxes !== undefined)
        log.warn(restoredLine('The database was restored, or another server has taken over', inboxes))
    } catch (error) {
      if (!UNDETECTABLE.has(codeOf(error))) throw error
      if (!warned) log.warn(UNDETECTED)
      warned = true
    }
  }
}

/**
 * Skips numbers in every inbox when the connection leads to another server than the one noted in the
 * database, and notes the new one. One of several nodes does it, and the others wait.
 *
 * @returns how many inboxes skip numbers; undefined when it is the same server, or the first
 */
async function skipNumbersIfRestored(client: pg.ClientBase): Promise<number | undefined> {
  if ((await compare(client, '')).same) return undefined
  return inTransaction(client, async () => {
    const { same, known, identifier, timeline } = await compare(client, 'FOR UPDATE OF store')
    if (same) return undefined
    await client.query(NOTE, [identifier, timeline])
    return known ? skipNumbers(client) : undefined
  })
}

/**
 * Skips numbers in every inbox, whatever the server is: after a restore that leaves no trace. Nodes may run
 * meanwhile.
 *
 * @returns how many inboxes skip numbers
 */
export async function skipNumbersAnyway(client: pg.ClientBase): Promise<number> {
  const inboxes = await skipNumbersIfRestored(client).catch((error) => {
    if (UNDETECTABLE.has(codeOf(error))) return undefined
    throw error
  })
  return inboxes ?? inTransaction(client, () => skipNumbers(client))
}

async function skipNumbers(client: pg.ClientBase): Promise<number> {
  await client.query('SET LOCAL statement_timeout = 0')
  // Commits lock rows one by one: together with this statement they could deadlock.
  await client.query(withLongTimeout('LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE'))
  return (await client.query(withLongTimeout(SKIP_NUMBERS))).rowCount ?? 0
}

/** An option that the types of pg leave out. */
const withLongTimeout = (text: string): pg.QueryConfig & { query_timeout: number } => ({
  text,
  query_timeout: SKIP_MS_MAX,
})

async function compare(client: pg.ClientBase, lock: string): Promise<Comparison> {
  const { rows } = await client.query<Comparison>(`${COMPARE} ${lock}`)
  return rows[0] as Comparison
}

async function inTransaction<T>(client: pg.ClientBase, run: () => Promise<T>): Promise<T> {
  await client.query('BEGIN')
  try {
    const result = await run()
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

const codeOf = (error: unknown): string => (error instanceof pg.DatabaseError ? (error.code ?? '') : '')
