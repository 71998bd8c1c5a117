import { ConfigurationError } from '../config.ts'
import { DatabaseInUse, DatabaseUnusable } from '../database/database.ts'
import { UnsafeFile } from '../private-files.ts'

/**
 * Ends the process with 1: a mistake of the operator is told in a sentence, a mistake of ours with its trace.
 */
export function endWith(error: unknown): never {
  const told = [ConfigurationError, DatabaseInUse, DatabaseUnusable, UnsafeFile].some(
    (kind) => error instanceof kind,
  )
  console.error(told || isSystemError(error) ? (error as Error).message : error)
  process.exit(1)
}

/** The port is taken, the folder cannot be written: the message says it all. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
