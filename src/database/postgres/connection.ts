import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'

/** Whoever cannot be served within this time is told to come back. */
const CONNECT_MS_MAX = 5_000
const QUERY_MS_MAX = 10_000

/** Two for commits; the others for reads, and for logins, which hold one for several statements. */
const CONNECTIONS_MAX = 12

/**
 * What a connection is set to. A node that was cut off must not hold its rows for longer than a few seconds;
 * and `synchronous_commit=off` would answer senders before their messages are on the disk. Every other value
 * that an operator chose for it waits for the disk too. Statements are planned once a connection, when the
 * tables may still be empty, and must go by an index when they no longer are.
 */
const SETTINGS = `
  SELECT set_config('idle_in_transaction_session_timeout', '5s', false),
         set_config('statement_timeout', '${QUERY_MS_MAX}', false),
         set_config('tcp_keepalives_idle', '5', false),
         set_config('tcp_keepalives_interval', '2', false),
         set_config('tcp_keepalives_count', '3', false),
         set_config('tcp_user_timeout', '10000', false),
         set_config('plan_cache_mode', 'force_generic_plan', false),
         set_config('enable_seqscan', 'off', false),
         set_config('synchronous_commit',
                    CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                      ELSE current_setting('synchronous_commit') END, false),
         current_setting('transaction_read_only') AS read_only`

/** How to connect; for a connection that is not one of the pool, too. */
export const connectionOptions = (url: string) => ({
  connectionString: url,
  application_name: 'restante',
  connectionTimeoutMillis: CONNECT_MS_MAX,
  query_timeout: QUERY_MS_MAX,
  keepAlive: true,
  types: { getTypeParser },
})

const { INT8, JSON: JSON_TEXT } = pg.types.builtins

/** `seq` numbers are 64 bits wide in the store and stay below 2^53. JSON goes to the client as it is. */
const getTypeParser: pg.CustomTypesConfig['getTypeParser'] = (type, format) => {
  if (type === INT8) return Number
  return type === JSON_TEXT ? String : pg.types.getTypeParser(type, format)
}

/**
 * Makes a new connection one of ours.
 *
 * @throws DatabaseUnavailable when it leads to a server that takes no writes: the primary of before, for as
 * long as its address is cached somewhere. Kept, such a connection would be used for ever.
 */
export async function settle(client: pg.ClientBase): Promise<void> {
  // It may break while the pool hands it over, when nobody listens: that would end the process. Whoever uses
  // it is told by the failure of the query.
  client.on('error', () => {})
  const { rows } = await client.query<{ read_only: string }>(SETTINGS)
  if (rows[0]?.read_only === 'on') throw new DatabaseUnavailable('The database takes no writes now.')
}

export function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ ...connectionOptions(url), max: CONNECTIONS_MAX, onConnect: settle })
  // An idle connection that broke is replaced when one is needed; without a listener it ends the process.
  pool.on('error', () => {})
  return pool
}
