import type { Entry, PageSize, StoredPage } from '../database/database.ts'
import { LIST_BYTES_MAX, lastSeqOf, type MessageList, toMessageList } from '../message-list.ts'
import { Problem } from '../problems.ts'

/** The response to a read of the inbox. */
export interface InboxPage {
  messages: MessageList
  /** What to show next time: it acknowledges all that was read. */
  cursor: number
  hasMore: boolean
  /** Missing numbers right after the cursor of the request. */
  gap: Gap | undefined
}

/** Numbers that an inbox no longer has, or never had. */
export interface Gap {
  from: number
  to: number
  /** `restored` when some of them were skipped at a restore: their entries may be lost. */
  reason: 'purged' | 'restored'
}

/** How much to read for one page: no text is longer in UTF-8 than as JSON. */
export const pageSize = (messages: number): PageSize => ({ messages, bytes: LIST_BYTES_MAX })

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
 * The first page of messages that were committed while a poll was parked, as the store would give it.
 *
 * @param arrived in order
 * @param after the number right before them
 */
export function firstPageOf(arrived: Entry[], after: number, limit: number): InboxPage {
  const newestSeq = after + arrived.length
  const messages = toMessageList(arrived.slice(0, limit))
  return toInboxPage({ after, messages, newestSeq, restoredFrom: undefined })
}

/**
 * Turns a page of the store into the response. It ends before a missing number, so a gap is always at the
 * beginning, where the next read finds it.
 */
export function toInboxPage({ after, messages, newestSeq, restoredFrom = Infinity }: StoredPage): InboxPage {
  const to = (messages.firstSeq ?? newestSeq + 1) - 1
  const gap: Gap | undefined =
    after < to ? { from: after + 1, to, reason: restoredFrom <= to ? 'restored' : 'purged' } : undefined
  // After a gap without messages the cursor is the end of the gap: an earlier one would report the same gap
  // for ever.
  const cursor = lastSeqOf(messages) ?? Math.max(after, to)
  return { messages, cursor, hasMore: cursor < newestSeq, gap }
}
