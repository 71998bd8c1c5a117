import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'

/**
 * Transient failures: SQLSTATE classes for connections, resources, operator intervention (a restart, a
 * time-out), system errors, transaction conflicts; and a read-only server, such as the former primary
 * (postgresql.org/docs/current/errcodes-appendix.html).
 */
const PASSING = /^(08|40|53|57|58)...$|^25006$|^25P03$|^55P03$/

/** Prisma's codes for the same (prisma.io/docs/orm/reference/error-reference). */
const PASSING_IN_PRISMA = /^P(1001|1002|1008|1017|2024|2028|2034|2037)$/
const PASSING_KINDS =
  /^(DatabaseNotReachable|ConnectionClosed|SocketTimeout|TooManyConnections|TransactionWriteConflict)$/

interface Cause {
  kind?: string
  code?: string
  originalCode?: string
}

/** Errors of the pool and of sockets have no SQLSTATE, and some no code. The last is of a node that stops. */
const PASSING_MESSAGES = new RegExp(
  '^(Connection terminated|timeout exceeded|Query read timeout|Client has encountered a connection error' +
    '|Client was closed|Cannot use a pool after calling end)',
)

/** Distinguishes transient failures from faults. */
export function asDatabaseError(error: unknown): unknown {
  return error instanceof Error && passes(error)
    ? new DatabaseUnavailable(`The database is unreachable: ${error.message}`, { cause: error })
    : error
}

function passes(error: Error): boolean {
  if (error instanceof pg.DatabaseError) return PASSING.test(error.code ?? '')
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
    PASSING_IN_PRISMA.test(code) ||
    PASSING_MESSAGES.test(error.message) ||
    PASSING_KINDS.test(inner?.kind ?? '') ||
    PASSING.test(inner?.originalCode ?? inner?.code ?? '')
  )
}
