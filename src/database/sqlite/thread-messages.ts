/** The messages between a database thread and the thread that has started it. */
import { DatabaseInUse, DatabaseUnavailable, DatabaseUnusable, type StoreLimits } from '../database.ts'

/** The data that a database thread is started with. */
export type ThreadData = { path: string } & (
  | { role: 'writer'; limits: StoreLimits }
  | { role: 'reader' | 'checkpoints' }
)

export interface Call {
  id: number
  verb: string
  args: unknown[]
}

export interface Reply {
  id: number
  value?: unknown
  failure?: Failure
}

/** The id of the first reply, which no call asked for. Calls are numbered from 1. */
export const OPENING = 0

/** The value of the first reply: the thread has opened the store. */
export interface Opened {
  verbs: string[]
  /** How many inboxes skip numbers, because the file is a restored backup. */
  restored: number | undefined
}

/** An error as a message, which would lose its class. */
export interface Failure {
  kind: string
  message: string
  stack: string | undefined
}

const KINDS = { DatabaseInUse, DatabaseUnusable, DatabaseUnavailable }

/** @param isTransient whether the same call may succeed later */
export function toFailure(error: unknown, isTransient: (error: unknown) => boolean): Failure {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  return { kind: !(name in KINDS) && isTransient(error) ? 'DatabaseUnavailable' : name, message, stack }
}

export function toError({ kind, message, stack }: Failure): Error {
  if (kind in KINDS) return new KINDS[kind as keyof typeof KINDS](message)
  const error = new Error(message)
  if (stack) error.stack = stack
  return error
}
