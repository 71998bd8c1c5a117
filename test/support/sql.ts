import SqliteFile from 'better-sqlite3'
import pg from 'pg'
import { isPostgres } from '../../src/config.ts'
import { fileOf } from './databases.ts'

export type Row = Record<string, unknown>
type Value = string | number | boolean | Date | Uint8Array

/** A connection besides those of the server, with the same interface for both databases. */
export interface Sql {
  /** Runs one statement, with a `?` for each value. */
  run: (statement: string, ...values: Value[]) => Promise<Row[]>
}

/** Lends a connection; everything done with it is one transaction. */
export async function withSql<T>(database: string, use: (sql: Sql) => Promise<T>): Promise<T> {
  const { run, close } = isPostgres(database) ? await connect(database) : openFile(fileOf(database))
  try {
    await run('BEGIN')
    const result = await use({ run })
    await run('COMMIT')
    return result
  } finally {
    await close()
  }
}

interface Connection extends Sql {
  close: () => unknown
}

function openFile(path: string): Connection {
  const file = new SqliteFile(path)
  return {
    run: async (statement, ...values) => {
      const prepared = file.prepare<unknown[], Row>(statement)
      const kept = values.map((value) => {
        if (value instanceof Date) return value.getTime()
        return typeof value === 'boolean' ? Number(value) : value
      })
      if (prepared.reader) return prepared.all(...kept)
      prepared.run(...kept)
      return []
    },
    close: () => file.close(),
  }
}

const { INT8 } = pg.types.builtins

async function connect(url: string): Promise<Connection> {
  const client = new pg.Client({
    connectionString: url,
    types: {
      getTypeParser: (type, format) => (type === INT8 ? Number : pg.types.getTypeParser(type, format)),
    },
  })
  await client.connect()
  return {
    run: async (statement, ...values) => {
      let count = 0
      const numbered = statement.replaceAll('?', () => {
        count += 1
        return `$${count}`
      })
      // Times are stored in UTC, without a zone.
      const kept = values.map((value) => (value instanceof Date ? value.toISOString() : value))
      return (await client.query<Row>(numbered, kept)).rows
    },
    close: () => client.end(),
  }
}
