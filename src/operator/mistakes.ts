import { ConfigurationError } from '../config.ts'
import { DatabaseInUse, DatabaseUnavailable, DatabaseUnusable } from '../database/database.ts'
import { UnsafeFile } from '../private-files.ts'
import { Problem } from '../problems.ts'

/** A command that does nothing, and says why in a sentence. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

const TOLD = [
  ConfigurationError,
  DatabaseInUse,
  DatabaseUnavailable,
  DatabaseUnusable,
  Problem,
  Refused,
  UnsafeFile,
]

/** A mistake of the operator in a sentence, a mistake of ours with its trace. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const told = TOLD.some((kind) => error instanceof kind) || isSystemError(error)
  return told ? error.message : (error.stack ?? error.message)
}

/** The port is taken, the folder cannot be written: the message says it all. */
const isSystemError = (error: Error): boolean => 'syscall' in error
