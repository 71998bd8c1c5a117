/**
 * Result codes of what passes: locked, full, not readable or writable now, out of memory
 * (sqlite.org/rescode.html).
 */
const PASSING = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|NOMEM)/

interface Wrapped {
  cause?: { originalCode?: string }
}

/** Whether what SQLite could not do may succeed a little later. */
export const isPassing = (error: unknown): boolean => PASSING.test(resultCode(error))

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
