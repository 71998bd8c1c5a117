import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'
import type { RestoreCheck } from './restores.ts'

/** A request that cannot be served within this time gets 503. */
const CONNECT_MS_MAX = 5_000
const QUERY_MS_MAX = 10_000

/** Two for commits; the others for reads, and for logins, which hold one for several statements. */
const CONNECTIONS_MAX = 12

/** Where the tables are. */
export interface Place {
  url: string
  schema: string
  /** The channel for notifications of this schema. */
  channel: string
}

/**
 * A database, a role or DATABASE_URL may set these to other values: text formats, the search path, and the
 * isolation of transactions.
 */
const FORMS = `
  set_config('search_path', quote_ident($1), false),
  set_config('client_encoding', 'UTF8', false),
  set_config('DateStyle', 'ISO, MDY', false),
  set_config('IntervalStyle', 'postgres', false),
  set_config('TimeZone', 'UTC', false),
  set_config('bytea_output', 'hex', false),
  set_config('extra_float_digits', '1', false),
  set_config('standard_conforming_strings', 'on', false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('default_transaction_deferrable', 'off', false),
  set_config('lock_timeout', '0', false),
  set_config('idle_session_timeout', '0', false)`

/** No time limit for migrations. */
const MIGRATION_SETTINGS = `
  SELECT ${FORMS},
         set_config('statement_timeout', '0', false),
         set_config('idle_in_transaction_session_timeout', '0', false)`

/**
 * A node that was cut off must not lock rows for longer than a few seconds. `synchronous_commit=off` would
 * answer senders before their messages are on disk; every other value waits for the disk, so it stays as the
 * operator chose. Statements are planned once per connection, when the tables may still be empty, and must
 * use an index later on.
 */
const SETTINGS = `
  SELECT ${FORMS},
         set_config('idle_in_transaction_session_timeout', '5s', false),
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

/** Options for every connection, of the pool or not. */
export const connectionOptions = (url: string) => ({
  connectionString: url,
  application_name: 'restante',
  connectionTimeoutMillis: CONNECT_MS_MAX,
  query_timeout: QUERY_MS_MAX,
  keepAlive: true,
  types: { getTypeParser },
})

/** For transactions of Prisma, whose defaults, 2 s and 5 s, refuse more under load. In ms. */
export const transactionOptions = { maxWait: CONNECT_MS_MAX, timeout: QUERY_MS_MAX }

/** `seq` numbers are 64 bits wide in the store and stay below 2^53. */
const getTypeParser: pg.CustomTypesConfig['getTypeParser'] = (type, format) =>
  type === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(type, format)

/**
 * Sets up a new connection.
 *
 * @throws DatabaseUnavailable when the server takes no writes: the former primary, while its address is still
 * cached somewhere. The pool would use such a connection for ever.
 */
export async function configureConnection(client: pg.ClientBase, schema: string): Promise<void> {
  ignoreErrors(client)
  const { rows } = await client.query<{ read_only: string }>(SETTINGS, [schema])
  if (rows[0]?.read_only === 'on') throw new DatabaseUnavailable('The database is read-only at the moment.')
}

/** The same for one that migrates, or copies. */
export async function configureForMigration(client: pg.ClientBase, schema: string): Promise<void> {
  ignoreErrors(client)
  await client.query(MIGRATION_SETTINGS, [schema])
}

/**
 * Without an error listener, a broken connection would end the process. Its user gets the error of the query.
 */
export function ignoreErrors(client: pg.ClientBase): void {
  client.on('error', () => {})
}

export function openPool({ url, schema }: Place, checkRestore: RestoreCheck): pg.Pool {
  const onConnect = async (client: pg.ClientBase) => {
    await configureConnection(client, schema)
    await checkRestore(client)
  }
  const pool = new pg.Pool({ ...connectionOptions(url), max: CONNECTIONS_MAX, onConnect })
  // The pool replaces a broken idle connection when needed; without a listener it would end the process.
  pool.on('error', () => {})
  return pool
}
