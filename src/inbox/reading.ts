import type { Page, StoredMessage } from '../database/database.ts'
import { Problem } from '../problems.ts'
import { type MessageList, pageOf } from './page.ts'

/** Numbers that an inbox no longer has, or never had. */
export interface Gap {
  from: number
  to: number
  /** `restored` when some of them were skipped at a restore: their entries may be lost. */
  reason: 'purged' | 'restored'
}

/** The result of a read. */
export interface Reading {
  messages: MessageList
  /** What to show next time: it acknowledges all that was read. */
  cursor: number
  hasMore: boolean
  /** Missing numbers right after the cursor of the request. */
  gap: Gap | undefined
}

/**
 * A cursor from another server, or from before a restore that left no mark, must not wait for ever.
 *
 * @throws Problem cursor_ahead
 */
export function refuseAhead(cursor: number, newestSeq: number) {
  if (cursor <= newestSeq) return
  throw new Problem('cursor_ahead', `The newest seq of this inbox is ${newestSeq}.`, { cursor: newestSeq })
}

/**
 * The first of these that make a page, as the store would give it.
 *
 * @param arrived what was committed while the poll was parked, in order
 * @param after the number right before them
 */
export function firstOf(arrived: StoredMessage[], after: number, limit: number): Reading {
  const newestSeq = after + arrived.length
  return asReading({ after, messages: arrived.slice(0, limit), newestSeq, restoredFrom: undefined })
}

/**
 * Turns a page of the store into the response. It ends before a missing number, so a gap is always at the
 * beginning, where the next read finds it.
 */
export function asReading({ after, messages, newestSeq, restoredFrom = Infinity }: Page): Reading {
  const first = messages[0]?.seq ?? newestSeq + 1
  const missing = messages.findIndex(({ seq }, at) => seq !== first + at)
  const list = pageOf(missing === -1 ? messages : messages.slice(0, missing))
  const to = first - 1
  const gap: Gap | undefined =
    after < to ? { from: after + 1, to, reason: restoredFrom <= to ? 'restored' : 'purged' } : undefined
  // After a gap without messages the cursor is the end of the gap: an earlier one would report the same gap
  // for ever.
  const cursor = list.lastSeq ?? Math.max(after, to)
  return { messages: list, cursor, hasMore: cursor < newestSeq, gap }
}
