import type { AddedReceipt, Append, AppendOutcome } from '../database/database.ts'
import type { Riders } from './held-back.ts'
import type { WaitingAppend } from './repeats.ts'

/** Somebody who waits. */
export interface Flush {
  resolve: () => void
  reject: (error: unknown) => void
}

export interface Committed {
  append: Append
  outcome: AppendOutcome
}

export type WrittenAppend = WaitingAppend & Committed

/** Gets the appends of a commit in order, and the receipts that stand before them. */
export type OnCommit = (committed: Committed[], receipts: AddedReceipt[]) => void

/** What goes to the database together. */
export interface Going {
  riders: Riders
  appends: WaitingAppend[]
  /** Those whose key is also that of another one in the batch, which came first. */
  repeats: WaitingAppend[]
  /** Those who wait for it and for all before it. */
  flushes: Flush[]
  /** Those who wait for an acknowledgement that it carries. */
  acknowledged: Flush[]
  /** Whether an inbox that is full may have room after what is deferred still. */
  mayFindRoom: boolean
}

export const waitIn = (flushes: Flush[]) =>
  new Promise<void>((resolve, reject) => {
    flushes.push({ resolve, reject })
  })
