import { timestamp } from '../clock.ts'
import { type Entry, type PageSize, RECEIPT_ID_BYTES, type StoredPage } from '../database/database.ts'
import { Problem } from '../problems.ts'

/** A page ends before the message that would carry it over this size. */
export const PAGE_BYTES_MAX = 1_048_576

/** A UTF-16 code unit takes no more bytes in UTF-8: RFC 3629 §3. */
const BYTES_PER_UNIT_MAX = 3

/** The response to a read of the inbox. */
export interface InboxPage {
  messages: MessageList
  /** What to show next time: it acknowledges all that was read. */
  cursor: number
  hasMore: boolean
  /** Missing numbers right after the cursor of the request. */
  gap: Gap | undefined
}

/** Messages in order, as they go to the client. */
export interface MessageList {
  /** A JSON array of openapi.yaml's `Message`. */
  json: string
  /** The `seq` of the last one; undefined when there is none. */
  lastSeq: number | undefined
}

/** Numbers that an inbox no longer has, or never had. */
export interface Gap {
  from: number
  to: number
  /** `restored` when some of them were skipped at a restore: their entries may be lost. */
  reason: 'purged' | 'restored'
}

/** How much to read for one page: no text is longer in UTF-8 than as JSON. */
export const pageSize = (messages: number): PageSize => ({ messages, bytes: PAGE_BYTES_MAX })

/** The size of a message in a page, of what its sender can make long. */
export const bytesOf = ({ body, receiptFor }: Entry): number =>
  Buffer.byteLength(body) + (receiptFor?.length ?? 0) * RECEIPT_ID_BYTES

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
  return toInboxPage({ after, messages: arrived.slice(0, limit), newestSeq, restoredFrom: undefined })
}

/**
 * Turns a page of the store into the response. It ends before a missing number, so a gap is always at the
 * beginning, where the next read finds it.
 */
export function toInboxPage({ after, messages, newestSeq, restoredFrom = Infinity }: StoredPage): InboxPage {
  const first = messages[0]?.seq ?? newestSeq + 1
  const missing = messages.findIndex(({ seq }, at) => seq !== first + at)
  const list = toMessageList(missing === -1 ? messages : messages.slice(0, missing))
  const to = first - 1
  const gap: Gap | undefined =
    after < to ? { from: after + 1, to, reason: restoredFrom <= to ? 'restored' : 'purged' } : undefined
  // After a gap without messages the cursor is the end of the gap: an earlier one would report the same gap
  // for ever.
  const cursor = list.lastSeq ?? Math.max(after, to)
  return { messages: list, cursor, hasMore: cursor < newestSeq, gap }
}

/** The first of these that fit into a page, at least one. */
export function toMessageList(messages: Entry[]): MessageList {
  const json = toJson(messages)
  // Counting bytes takes half as long as the rest of a read.
  if (json.length * BYTES_PER_UNIT_MAX <= PAGE_BYTES_MAX) return { json, lastSeq: messages.at(-1)?.seq }
  const texts = messages.map((message) => toJson([message]).slice(1, -1))
  const count = Math.max(countFitting(texts), 1)
  return { json: `[${texts.slice(0, count).join()}]`, lastSeq: messages[count - 1]?.seq }
}

/** openapi.yaml, `Message`. All at once, which takes half as long as one by one. */
const toJson = (messages: Entry[]): string =>
  JSON.stringify(
    messages.map(({ seq, id, from, body, sentAtMs, receiptFor }) => ({
      seq,
      id,
      from,
      body,
      sentAt: timestamp(sentAtMs),
      receiptFor,
    })),
  )

function countFitting(messages: string[]): number {
  let bytes = '['.length
  const beyond = messages.findIndex((message) => {
    // With the comma, or the bracket at the end.
    bytes += Buffer.byteLength(message) + 1
    return bytes > PAGE_BYTES_MAX
  })
  return beyond === -1 ? messages.length : beyond
}
