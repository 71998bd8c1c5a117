/**
 * Result codes of what passes: locked, full, not readable or writable now, out of memory
 * (sqlite.org/rescode.html).
 */
const PASSING = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|NOMEM)/

/** What was read is not what SQLite wrote. */
const DAMAGE = /^SQLITE_(CORRUPT|NOTADB)/

interface Wrapped {
  cause?: { originalCode?: string }
}

/** Whether what SQLite could not do may succeed a little later. */
export const isPassing = (error: unknown): boolean => PASSING.test(resultCode(error))

/** Whether the file turned out to be damaged. */
export const isDamage = (error: unknown): boolean => DAMAGE.test(resultCode(error))

/** Does what may as well be done later; leaves it when it cannot be done now, on a full disk for example. */
export function ifPossible<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (!isPassing(error)) throw error
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
