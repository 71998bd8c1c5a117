import { type Message, type MessageList, type Page, pageOf } from '../database/database.ts'
import { Problem } from '../problems.ts'

/** What a read of an inbox gives. */
export interface Reading {
  messages: MessageList
  /** What to show next time: it acknowledges all that was read. */
  cursor: number
  hasMore: boolean
  /** What is missing behind the cursor that was shown, because it was purged. */
  gap: { from: number; to: number } | undefined
}

/**
 * A cursor from a restored backup or another server must not wait for ever.
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
export function firstOf(arrived: Message[], after: number, limit: number): Reading {
  const messages = pageOf(arrived.slice(0, limit).map((message) => JSON.stringify(message)))
  const newestSeq = after + arrived.length
  return asReading({ after, messages, newestSeq, purgedSeq: after })
}

/** What a page of the store says to who asked for it. */
export function asReading({ after, messages, newestSeq, purgedSeq }: Page): Reading {
  // Behind a gap without messages stands the gap's end: showing it again would tell the same gap for ever.
  const cursor = messages.lastSeq ?? Math.max(after, purgedSeq)
  const gap = after < purgedSeq ? { from: after + 1, to: purgedSeq } : undefined
  return { messages, cursor, hasMore: cursor < newestSeq, gap }
}
