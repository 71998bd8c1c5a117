import { DatabaseInUse, DatabaseUnusable } from '../database.ts'

/**
 * Result codes of transient failures: locked, full, not readable or writable now, out of memory
 * (sqlite.org/rescode.html).
 */
const TRANSIENT = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|NOMEM)/

/** SQLite read something that it did not write. */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB)/

interface Wrapped {
  cause?: { originalCode?: string }
}

/** Whether a failure of SQLite is transient. */
export const isTransient = (error: unknown): boolean => TRANSIENT.test(resultCode(error))

/** Whether the file turned out to be damaged. */
export const isDamage = (error: unknown): boolean => DAMAGE.test(resultCode(error))

/** Runs something that may as well be done later, and ignores transient failures, such as a full disk. */
export function ignoreTransient<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (!isTransient(error)) throw error
    return undefined
  }
}

/**
 * SQLite's result code: our own statements throw it as `code`, Prisma wraps it twice, and once when a COMMIT
 * fails.
 */
function resultCode(error: unknown): string {
  const {
    code = '',
    cause,
    meta,
  } = error as Wrapped & { code?: string; meta?: { driverAdapterError?: Wrapped } }
  return (meta?.driverAdapterError?.cause ?? cause)?.originalCode ?? code
}

/** The error of a start that fails. A database that is in use stays that. */
export function cannotOpen(path: string, error: unknown): Error {
  if (error instanceof DatabaseInUse) return error
  const message = `The database ${path} cannot be opened: ${(error as Error).message}`
  return new DatabaseUnusable(message, { cause: error })
}
