import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'

/**
 * Transient failures: SQLSTATE classes for connections, resources, operator intervention (a restart, a
 * time-out), system errors, transaction conflicts; and a read-only server, such as the former primary
 * (postgresql.org/docs/current/errcodes-appendix.html).
 */
const TRANSIENT = /^(08|40|53|57|58)...$|^25006$|^25P03$|^55P03$/

/** Prisma's codes for the same (prisma.io/docs/orm/reference/error-reference). */
const TRANSIENT_IN_PRISMA = /^P(1001|1002|1008|1017|2024|2028|2034|2037)$/
const TRANSIENT_KINDS =
  /^(DatabaseNotReachable|ConnectionClosed|SocketTimeout|TooManyConnections|TransactionWriteConflict)$/

interface Cause {
  kind?: string
  code?: string
  originalCode?: string
}

/**
 * Errors of the pool and of sockets have no SQLSTATE, and some no code. The last comes from a node that
 * stops.
 */
const TRANSIENT_MESSAGES = new RegExp(
  '^(Connection terminated|timeout exceeded|Query read timeout|Client has encountered a connection error' +
    '|Client was closed|Cannot use a pool after calling end)',
)

/** Turns transient failures into DatabaseUnavailable. Faults stay as they are. */
export function toDatabaseError(error: unknown): unknown {
  return error instanceof Error && isTransient(error)
    ? new DatabaseUnavailable(`The database is unreachable: ${error.message}`, { cause: error })
    : error
}

function isTransient(error: Error): boolean {
  if (error instanceof pg.DatabaseError) return TRANSIENT.test(error.code ?? '')
  const {
    code = '',
    syscall,
    cause,
    meta,
  } = error as Error & {
    code?: string
    syscall?: string
    cause?: Cause
    meta?: { driverAdapterError?: { cause?: Cause } }
  }
  const inner = meta?.driverAdapterError?.cause ?? cause
  return (
    syscall !== undefined ||
    TRANSIENT_IN_PRISMA.test(code) ||
    TRANSIENT_MESSAGES.test(error.message) ||
    TRANSIENT_KINDS.test(inner?.kind ?? '') ||
    TRANSIENT.test(inner?.originalCode ?? inner?.code ?? '')
  )
}
