import { ConfigurationError } from '../config.ts'
import { DatabaseInUse, DatabaseUnavailable, DatabaseUnusable } from '../database/database.ts'
import { UnsafeFile } from '../private-files.ts'
import { Problem } from '../problems.ts'

/** The command was refused; the message says why. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

/** Errors whose message is enough for the operator. */
const EXPECTED_ERRORS = [
  ConfigurationError,
  DatabaseInUse,
  DatabaseUnavailable,
  DatabaseUnusable,
  Problem,
  Refused,
  UnsafeFile,
]

/** The message of an expected error, or the stack of a bug. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isExpected = EXPECTED_ERRORS.some((kind) => error instanceof kind) || isSystemError(error)
  return isExpected ? error.message : (error.stack ?? error.message)
}

/** Such as a port in use or a folder without write permission. */
const isSystemError = (error: Error): boolean => 'syscall' in error
