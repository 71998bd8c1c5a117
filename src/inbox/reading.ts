import type { Page, StoredMessage } from '../database/database.ts'
import { Problem } from '../problems.ts'
import { type MessageList, pageOf } from './page.ts'

/** Numbers that an inbox no longer has, or never had. */
export interface Gap {
  from: number
  to: number
  /** `restored` when some of them were skipped at a restore: what they stood for may be lost. */
  reason: 'purged' | 'restored'
}

/** What a read of an inbox gives. */
export interface Reading {
  messages: MessageList
  /** What to show next time: it acknowledges all that was read. */
  cursor: number
  hasMore: boolean
  /** What is missing right behind the cursor that was shown. */
  gap: Gap | undefined
}

/**
 * A cursor from another server, or from before a restore that left no mark, must not wait for ever.
 *
 * @throws Problem cursor_ahead
 */
export function refuseAhead(cursor: number, newestSeq: number) {
  if (cursor <= newestSeq) return
  throw new Problem('cursor_ahead', `The newest message here is number ${newestSeq}.`, { cursor: newestSeq })
}

/**
 * The first of these that make a page, as the store would give it.
 *
 * @param arrived what came while somebody waited, in order
 * @param after the number right before them
 */
export function firstOf(arrived: StoredMessage[], after: number, limit: number): Reading {
  const newestSeq = after + arrived.length
  return asReading({ after, messages: arrived.slice(0, limit), newestSeq, restoredFrom: undefined })
}

/**
 * What a page of the store says to who asked for it. It ends before a number that is missing, so that a gap
 * always stands at its beginning; the next read begins with that.
 */
export function asReading({ after, messages, newestSeq, restoredFrom = Infinity }: Page): Reading {
  const first = messages[0]?.seq ?? newestSeq + 1
  const missing = messages.findIndex(({ seq }, at) => seq !== first + at)
  const list = pageOf(missing === -1 ? messages : messages.slice(0, missing))
  const to = first - 1
  const gap: Gap | undefined =
    after < to ? { from: after + 1, to, reason: restoredFrom <= to ? 'restored' : 'purged' } : undefined
  // Behind a gap without messages stands the gap's end: showing it again would tell the same gap for ever.
  const cursor = list.lastSeq ?? Math.max(after, to)
  return { messages: list, cursor, hasMore: cursor < newestSeq, gap }
}
