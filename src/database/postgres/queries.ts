import pg from 'pg'
import type { Dialect, Query } from '../dialect.ts'
import { msOf, polledElsewhere, timestampOf } from './fragments.ts'

/**
 * How the statements that both databases share are written for PostgreSQL.
 *
 * @param nodeId this node: its own polls are known here
 */
export const dialectFor = (nodeId: string): Dialect => ({
  msOf,
  instantOf: (parameter) => timestampOf(`${parameter}::bigint`),
  larger: 'greatest',
  bytewise: 'COLLATE "C"',
  newestSeq: 'newest_seq',
  receipts: 'receipts',
  isElsewhere: (sessionId) => polledElsewhere(sessionId, pg.escapeLiteral(nodeId)),
})

/** Runs the statements that both databases share. */
export function queriesOn(pool: pg.Pool): Query {
  return async <Row extends object>(name: string, text: string, values: unknown[]) =>
    (await pool.query<Row>({ name, text, values })).rows
}
