/** Commits under way, and the callers that wait for them. */
import type { AddedReceipt, AppendOutcome, NewMessage } from '../database/database.ts'
import type { Deferred } from './deferred-writes.ts'
import type { WaitingAppend } from './repeats.ts'

/** A caller that waits. */
export interface Flush {
  resolve: () => void
  reject: (error: unknown) => void
}

export interface Committed {
  message: NewMessage
  outcome: AppendOutcome
}

export type WrittenAppend = WaitingAppend & Committed

/** Called with the appends of a commit in order, and the receipts that precede them. */
export type OnCommit = (committed: Committed[], receipts: AddedReceipt[]) => void

/** A commit that has been submitted, and the callers that wait for it. */
export interface OpenCommit {
  deferred: Deferred
  appends: WaitingAppend[]
  /** Appends with the same key as an earlier one of the batch. */
  repeats: WaitingAppend[]
  /** Callers that wait for it and for all earlier ones. */
  flushes: Flush[]
  /** Callers that wait for one of its acknowledgements. */
  acknowledged: Flush[]
  /** Whether writes that are still deferred may make room in a full inbox. */
  mayFindRoom: boolean
}

export const waitIn = (flushes: Flush[]) =>
  new Promise<void>((resolve, reject) => {
    flushes.push({ resolve, reject })
  })
