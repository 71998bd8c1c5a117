/** The differences in SQL between the two databases, for the statements that they share. */
export interface Dialect {
  /** An instant of a row, as ms since 1970. */
  msOf: (column: string) => string
  /** A parameter with ms since 1970, as the instants of rows are stored. */
  instantOf: (parameter: string) => string
  /** The name of the function that gives the larger of two numbers. */
  larger: string
  /** Has ORDER BY compare texts byte by byte. */
  bytewise: string
  /** The newest `seq` of an inbox, for a row of `account`. */
  newestSeq: string
  /** How many receipts an inbox has ever taken, for a row of `account`. */
  receipts: string
  /** Whether a session polls another node, or did a moment ago. */
  isElsewhere: (sessionId: string) => string
}

/**
 * Runs a statement that is prepared once per connection.
 *
 * @param text with `$1`, `$2` … for the values
 * @returns its rows
 */
export type Query = <Row extends object>(name: string, text: string, values: unknown[]) => Promise<Row[]>
