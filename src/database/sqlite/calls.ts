import type { Database, StoreLimits } from '../database.ts'

/** What a thread is started with. */
export interface ThreadData {
  role: 'writer' | 'reader'
  path: string
  limits: StoreLimits
}

/** A verb of the store, on its way to a thread. */
export interface Call {
  id: number
  verb: keyof Database
  args: unknown[]
}

/** What became of it. */
export interface Reply {
  id: number
  value?: unknown
  failure?: Failure
}

/** An error as it crosses to the other thread, where its class would be lost. */
export interface Failure {
  kind: 'in use' | 'unusable' | 'unavailable' | 'fault'
  message: string
  stack: string | undefined
}

/**
 * The reply that says whether the store could be opened, and how many inboxes a restore has moved on; calls
 * are numbered from 1.
 */
export const OPENING = 0
