/** Checks a PostgreSQL database, and migrates it, before it is used. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseUnusable } from '../database.ts'
import { migrate } from '../migrate.ts'
import { CHANNEL_OF_SCHEMA } from './channel.ts'
import { configureForMigration, connectionOptions, ignoreErrors, type Place } from './connection.ts'
import { MigrationAdapter } from './migration-adapter.ts'

/**
 * Any number: nodes that start at once migrate one after the other. Prisma's own lock covers neither the
 * creation of the schema nor the upgrade from before 0.1.
 */
const MIGRATION_LOCK = 7_305_114_877

/** Notifications take milliseconds. */
const ARRIVAL_MS_MAX = 5_000

const NOT_UTF8 = (encoding: string) =>
  `Its encoding is ${encoding}, but messages need UTF8. Create one with ` +
  "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."

const NO_SCHEMA =
  'No schema of its search_path exists. Create one, or name one with ?schema=… in DATABASE_URL.'

const TWICE = (schemas: string[]) =>
  `Its schemas ${schemas.join(' and ')} both have the tables. Name one with ?schema=… in DATABASE_URL.`

/** Prisma puts the name in quotes, and leaves those that are in it. */
const QUOTED = (schema: string) =>
  `Its schema ${schema} has a double quote in its name. Choose another schema.`

const NO_NOTIFICATIONS =
  'Notifications do not arrive over its connections. Behind PgBouncer use pool_mode = session: LISTEN does not ' +
  'work in transaction mode.'

/**
 * Finds the tables of a database, and migrates them when needed, also while other nodes start: the second
 * node finds nothing to do. A database that must not be used is refused before anything is changed in it.
 *
 * @throws DatabaseUnusable when it cannot be reached or used
 */
export async function prepareDatabase(url: string): Promise<Place> {
  try {
    return await withClient(url, async (holder) => {
      const schema = await chooseSchema(holder, url)
      await withClient(url, (sender) => requireNotifications(holder, sender))

      await configureForMigration(holder, schema)
      await holder.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
      await createMissing(holder, schema)
      const onConnect = (client: pg.ClientBase) => configureForMigration(client, schema)
      await migrate(new MigrationAdapter({ connectionString: url, max: 2, onConnect }, { schema }))
      const { rows } = await holder.query<{ channel: string }>(CHANNEL_OF_SCHEMA, [schema])
      return { url, schema, channel: rows[0]?.channel as string }
    })
  } catch (error) {
    throw unusable(url, error)
  }
}

/**
 * Finds the tables of a database, and changes nothing.
 *
 * @returns the migrations that it has seen; undefined when it is new
 * @throws DatabaseUnusable when a start would refuse it
 */
export async function findMigrations(url: string): Promise<string[] | undefined> {
  try {
    return await withClient(url, async (client) => {
      const schema = await chooseSchema(client, url)
      await withClient(url, (sender) => requireNotifications(client, sender))
      const history = `${pg.escapeIdentifier(schema)}._prisma_migrations`
      const { rows: known } = await client.query('SELECT to_regclass($1) AS history', [history])
      if (known[0].history === null) return undefined
      const { rows } = await client.query<{ name: string }>(
        `SELECT migration_name AS name FROM ${history} WHERE rolled_back_at IS NULL AND finished_at IS NOT NULL`,
      )
      return rows.map(({ name }) => name)
    })
  } catch (error) {
    throw unusable(url, error)
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

/** Runs `use` with a connection of its own, without time limits for queries. */
async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const { query_timeout: _, ...options } = connectionOptions(url)
  const client = new pg.Client(options)
  ignoreErrors(client)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** The schemas of the search path that have our tables already, of this version or an older one. */
const OURS = `
  SELECT array_agg(name::text) FROM unnest(current_schemas(false)) AS name
   WHERE (SELECT count(*) FROM pg_tables
           WHERE schemaname = name AND tablename IN ('account', 'message', 'idempotency_key')) = 3`

/**
 * Resolves with the schema that `?schema=` names; otherwise with the one of the search path that has the
 * tables, because a newer schema may precede it; otherwise with the first.
 */
async function chooseSchema(client: pg.Client, url: string): Promise<string> {
  const { rows } = await client.query<{ encoding: string; first: string | null; ours: string[] | null }>(
    `SELECT current_setting('server_encoding') AS encoding, current_schema() AS first, (${OURS}) AS ours`,
  )
  const { encoding = '', first, ours } = rows[0] ?? {}
  if (encoding !== 'UTF8') throw new DatabaseUnusable(NOT_UTF8(encoding))
  const named = new URL(url).searchParams.get('schema')
  if (!named && ours && ours.length > 1) throw new DatabaseUnusable(TWICE(ours))
  const wanted = named || ours?.[0] || first
  if (!wanted) throw new DatabaseUnusable(NO_SCHEMA)
  if (wanted.includes('"')) throw new DatabaseUnusable(QUOTED(wanted))
  return wanted
}

/** Not CREATE SCHEMA IF NOT EXISTS, which needs the privilege to create schemas even where it exists. */
async function createMissing(client: pg.Client, schema: string) {
  const { rows } = await client.query<{ missing: boolean }>(
    'SELECT to_regnamespace(quote_ident($1)) IS NULL AS missing',
    [schema],
  )
  if (rows[0]?.missing) await client.query(`CREATE SCHEMA ${pg.escapeIdentifier(schema)}`)
}

/**
 * Refuses a pool that gives a connection to another client after each transaction, as PgBouncer does in
 * transaction mode: it breaks LISTEN, and all settings of connections.
 */
async function requireNotifications(listener: pg.Client, sender: pg.Client) {
  const arrived = new Promise<'arrived'>((resolve) => listener.once('notification', () => resolve('arrived')))
  const late = new AbortController()
  const channel = `restante_start_${randomBytes(9).toString('hex')}`
  await listener.query(`LISTEN ${channel}`)
  await sender.query('SELECT pg_notify($1, $2)', [channel, ''])
  const end = await Promise.race([arrived, pause(ARRIVAL_MS_MAX, 'late', { signal: late.signal })])
  if (end === 'late') throw new DatabaseUnusable(NO_NOTIFICATIONS)
  late.abort()
  await listener.query(`UNLISTEN ${channel}`)
}
