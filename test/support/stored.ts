import SqliteFile from 'better-sqlite3'

type Row = Record<string, unknown>

/** Written when there is time, and by being online alone: it says nothing about what a request did. */
const LAZY_COLUMN = 'last_seen_at'

/** Every row of every table, as somebody else sees it who opens the file: what was committed. */
export function stored(file: string): Record<string, Row[]> {
  const database = new SqliteFile(file, { readonly: true })
  try {
    const tables = tablesOf(database).map((table): [string, Row[]] => {
      const rows = database.prepare<[], Row>(`SELECT * FROM "${table}"`).all()
      return [table, rows.map(({ [LAZY_COLUMN]: _, ...row }) => row)]
    })
    return Object.fromEntries(tables)
  } finally {
    database.close()
  }
}

const tablesOf = (database: SqliteFile.Database) =>
  database
    .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    .pluck()
    .all()
