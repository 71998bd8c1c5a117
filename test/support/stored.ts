import { isPostgres } from './built.ts'
import { type Row, type Sql, withSql } from './sql.ts'

/** Columns written in the background, or by presence alone: they do not show the effect of a request. */
const LAZY_COLUMN = 'last_seen_at'
const LAZY_TABLES = ['node', 'presence']

/** Every row of every table, as another connection sees it: only committed data. */
export function stored(database: string): Promise<Record<string, Row[]>> {
  return withSql(database, async (sql) => {
    const tables: Record<string, Row[]> = {}
    const names = (await tablesOf(sql, database)).filter((name) => !LAZY_TABLES.includes(name))
    for (const table of names) {
      // In the order of the keys.
      const rows = await sql.run(`SELECT * FROM "${table}" ORDER BY 1, 2`)
      tables[table] = rows.map(({ [LAZY_COLUMN]: _, ...row }) => row)
    }
    return tables
  })
}

/** The names of all tables, in order. */
export async function tablesOf(sql: Sql, database: string): Promise<string[]> {
  const rows = await sql.run(
    isPostgres(database)
      ? "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
      : "SELECT name FROM sqlite_master WHERE type = 'table'",
  )
  return rows.map(({ name }) => String(name)).sort()
}
