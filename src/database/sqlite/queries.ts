import type SqliteFile from 'better-sqlite3'
import type { Dialect, Query } from '../dialect.ts'
import { NEWEST_SEQ, RECEIPTS } from './inbox-expressions.ts'

/** SQLite stores instants as ms, compares texts byte by byte, and has no other nodes. */
export const DIALECT: Dialect = {
  msOf: (column) => column,
  instantOf: (parameter) => parameter,
  larger: 'max',
  bytewise: '',
  newestSeq: NEWEST_SEQ,
  receipts: RECEIPTS,
  isElsewhere: () => 'false',
}

/** Runs the statements that both databases share. */
export function queriesOn(connection: SqliteFile.Database): Query {
  const prepared = new Map<string, SqliteFile.Statement>()
  return async <Row>(name: string, text: string, values: unknown[]) => {
    const statement = prepared.get(name) ?? connection.prepare(text)
    prepared.set(name, statement)
    // To SQLite `$1` is a parameter with the name 1.
    return statement.all(Object.fromEntries(values.map((value, at) => [at + 1, value]))) as Row[]
  }
}
