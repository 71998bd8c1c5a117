/** Commits under way, and the callers that wait for them. */
import type { AddedReceipt, AppendOutcome, NewMessage } from '../database/database.ts'
import type { Deferred } from './deferred-writes.ts'
import type { WaitingAppend } from './repeats.ts'

/** Refusals that an acknowledgement may resolve. */
export const NO_ROOM: ReadonlySet<AppendOutcome['kind']> = new Set([
  'inbox_full',
  'too_many_unread',
  'too_many_receipts',
])

/** A caller that waits until its acknowledgement, or everything that came before, is in the store. */
export interface WaitingCaller {
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
export interface CommitUnderWay {
  deferred: Deferred
  appends: WaitingAppend[]
  /** Appends with the same key as an earlier one of the batch. */
  repeats: WaitingAppend[]
  /** Callers that wait for it and for all earlier ones. */
  flushes: WaitingCaller[]
  /** Callers that wait for one of its acknowledgements. */
  acknowledged: WaitingCaller[]
  /** Whether writes that are still deferred may make room in a full inbox. */
  mayFindRoom: boolean
}

export const waitIn = (callers: WaitingCaller[]) =>
  new Promise<void>((resolve, reject) => {
    callers.push({ resolve, reject })
  })
