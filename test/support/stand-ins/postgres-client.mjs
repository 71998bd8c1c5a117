/**
 * psql, pg_dump and pg_restore, as docs/operating.md uses them, for a machine that has none for its
 * PostgreSQL. A dump is JSON: the rows of every table.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import pg from 'pg'

const [tool, ...args] = process.argv.slice(2)
const { values, positionals } = parseArgs({
  args,
  allowPositionals: true,
  options: {
    command: { type: 'string', short: 'c', multiple: true },
    format: { type: 'string' },
    file: { type: 'string' },
    dbname: { type: 'string' },
  },
})
const tools = { psql, pg_dump: dump, pg_restore: restore }
const client = new pg.Client(values.dbname ?? positionals[0])
await client.connect()
await tools[tool]()
await client.end()

async function psql() {
  for (const statement of values.command) {
    await client.query(statement)
    console.log(statement.split(' ').slice(0, 2).join(' '))
  }
}

async function dump() {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  const { rows } = await client.query(
    `SELECT table_name AS name,
            string_agg(format('%I %s', column_name, udt_name), ', ' ORDER BY ordinal_position) AS columns
       FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name`,
  )
  for (const table of rows)
    table.rows = (await client.query(`SELECT json_agg(t) AS rows FROM ${quoted(table)} t`)).rows[0].rows ?? []
  writeFileSync(values.file, JSON.stringify(rows))
}

/** The tables of the migrations, except the one that records them. */
async function restore() {
  const migrations = 'prisma/migrations/postgres'
  const folder = new URL(`../../../${migrations}/`, import.meta.url)
  await client.query('BEGIN')
  for (const entry of readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory()))
    await client.query(readFileSync(new URL(`${entry.name}/migration.sql`, folder), 'utf8'))
  await client.query('SET LOCAL session_replication_role = replica')
  for (const table of JSON.parse(readFileSync(positionals[0], 'utf8'))) {
    await client.query(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${table.columns})`)
    await client.query(`DELETE FROM ${quoted(table)}`)
    await client.query(
      `INSERT INTO ${quoted(table)} SELECT * FROM json_populate_recordset(NULL::${quoted(table)}, $1)`,
      [JSON.stringify(table.rows)],
    )
  }
  await client.query(`SELECT setval(pg_get_serial_sequence('account', 'id'), max(id)) FROM account`)
  await client.query('COMMIT')
}

function quoted({ name }) {
  return `"${name}"`
}
