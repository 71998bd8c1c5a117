import type SqliteFile from 'better-sqlite3'
import pg from 'pg'
import { DatabaseUnusable } from './database.ts'
import { configureForMigration } from './postgres/connection.ts'
import { timestampOf } from './postgres/fragments.ts'
import { prepareDatabase, unusable } from './postgres/prepare.ts'
import { useExclusively } from './sqlite/file/exclusive.ts'
import { NEWEST_SEQ, RECEIPTS, TEXT_BYTES } from './sqlite/inbox-expressions.ts'
import { skipNumbersIfBackup } from './sqlite/restores.ts'

/** In the order of their foreign keys. Nodes and presence are transient, and are not copied. */
const TABLES = [
  'account',
  'session',
  'push_subscription',
  'application_token',
  'known_address',
  'block',
  'message',
  'restored_range',
  'idempotency_key',
  'expired_message',
  'invite',
] as const

/** Columns that PostgreSQL stores and SQLite computes. */
const COMPUTED: Record<string, string> = {
  newest_seq: NEWEST_SEQ,
  text_bytes: TEXT_BYTES,
  receipts: RECEIPTS,
}

/** How many rows of each table were copied. */
export type Moved = Record<(typeof TABLES)[number], number>

/** Rows per statement: 2 MB when all messages have the default maximum length. */
const ROWS_AT_ONCE = 100

/**
 * Copies a whole SQLite file into an empty PostgreSQL database, or nothing. The file changes only as by a
 * start of the server.
 *
 * @param path the SQLite file, which no server may be using
 * @param url the PostgreSQL database, which is migrated when needed
 * @throws DatabaseInUse, DatabaseUnusable
 */
export async function moveToPostgres(path: string, url: string): Promise<Moved> {
  return useExclusively(path, (file) => {
    skipNumbersIfBackup(file)
    return copyAll(file, url)
  })
}

async function copyAll(file: SqliteFile.Database, url: string): Promise<Moved> {
  const { schema } = await prepareDatabase(url)
  const target = new pg.Client({ connectionString: url })
  try {
    await target.connect()
    await configureForMigration(target, schema)
  } catch (error) {
    throw unusable(url, error)
  }
  try {
    await target.query('BEGIN')
    const moved: [string, number][] = []
    for (const table of TABLES) moved.push([table, await copyTable(file, target, table)])
    const floorSeq = file.prepare('SELECT floor_seq FROM store').pluck().get()
    await target.query('UPDATE store SET floor_seq = $1', [floorSeq])
    await target.query('COMMIT')
    return Object.fromEntries(moved) as Moved
  } finally {
    await target.end()
  }
}

async function copyTable(file: SqliteFile.Database, target: pg.Client, table: string): Promise<number> {
  // No other process may write there meanwhile.
  await target.query(`LOCK TABLE ${table}`)
  const { rowCount } = await target.query(`SELECT FROM ${table} LIMIT 1`)
  if (rowCount !== 0) throw new DatabaseUnusable(`The database to move to is not empty: ${table} has rows.`)

  const columns = await columnsOf(target, table)
  const insert = insertOf(table, columns)
  let rows: unknown[][] = []
  let copied = 0
  const write = async () => {
    await target.query(
      insert,
      columns.map((_, at) => rows.map((row) => row[at])),
    )
    copied += rows.length
    rows = []
  }
  const values = columns.map(({ name }) => COMPUTED[name] ?? name)
  for (const row of file.prepare(`SELECT ${values.join()} FROM ${table}`).raw().iterate()) {
    rows.push(row as unknown[])
    if (rows.length === ROWS_AT_ONCE) await write()
  }
  await write()
  if (columns.some(({ name, type }) => name === 'id' && /^int/.test(type))) await continueIds(target, table)
  return copied
}

interface Column {
  name: string
  /** Its name in PostgreSQL. */
  type: string
}

async function columnsOf(target: pg.Client, table: string): Promise<Column[]> {
  const { rows } = await target.query<Column>(
    `SELECT column_name AS name, udt_name AS type FROM information_schema.columns
      WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`,
    [table],
  )
  return rows
}

/** Columns come as one array each. SQLite has instants as ms, and 0 and 1 for no and yes. */
function insertOf(table: string, columns: Column[]): string {
  const sent: Record<string, { as: string; read: (name: string) => string }> = {
    timestamp: { as: 'int8', read: timestampOf },
    bool: { as: 'int4', read: (name) => `${name} <> 0` },
  }
  const names = columns.map(({ name }) => name).join()
  const values = columns.map(({ name, type }) => sent[type]?.read(name) ?? name)
  const arrays = columns.map(({ type }, at) => `$${at + 1}::${sent[type]?.as ?? type}[]`)
  return `INSERT INTO ${table} (${names}) SELECT ${values} FROM unnest(${arrays}) AS sent (${names})`
}

/** New rows get ids behind those of the copied rows. */
async function continueIds(target: pg.Client, table: string) {
  await target.query(
    `SELECT setval(pg_get_serial_sequence($1, 'id'), max(id)) FROM ${table} HAVING max(id) > 0`,
    [table],
  )
}
