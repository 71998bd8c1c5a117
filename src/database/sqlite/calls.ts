import type { Database, StoreLimits } from '../database.ts'

/** The data that a thread is started with. */
export interface ThreadData {
  role: 'writer' | 'reader'
  path: string
  limits: StoreLimits
}

/** A call of a verb, as a message to a thread. */
export interface Call {
  id: number
  verb: keyof Database
  args: unknown[]
}

/** The result of a call, as a message from a thread. */
export interface Reply {
  id: number
  value?: unknown
  failure?: Failure
}

/** An error as a message: its class would be lost between threads. */
export interface Failure {
  kind: 'in use' | 'unusable' | 'unavailable' | 'fault'
  message: string
  stack: string | undefined
}

/**
 * The id of the first reply: whether the store was opened, and how many inboxes a restore has moved on. Calls
 * are numbered from 1.
 */
export const OPENING = 0
