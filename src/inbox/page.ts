import { timestamp } from '../clock.ts'
import type { PageSize, StoredMessage } from '../database/database.ts'

/** A page of the inbox ends before the message that would carry it over this size. */
export const PAGE_BYTES_MAX = 1_048_576

/** As much of an inbox as one page may hold: no text is longer in UTF-8 than it is as JSON. */
export const pageSize = (messages: number): PageSize => ({ messages, bytes: PAGE_BYTES_MAX })

/** Messages in order, as they go to the client. */
export interface MessageList {
  /**
   * Of a JSON array of openapi.yaml's `Message`, without the brackets: with them a page would be copied once
   * more.
   */
  elements: string
  /** The `seq` of the last one; undefined when there is none. */
  lastSeq: number | undefined
}

/** A UTF-16 code unit takes no more bytes in UTF-8: RFC 3629 §3. */
const BYTES_PER_UNIT_MAX = 3

/** The first of these that make a page: as many as fit, and one at least. */
export function pageOf(messages: StoredMessage[]): MessageList {
  const texts = messages.map(asJson)
  const count = Math.max(countFitting(texts), Math.min(texts.length, 1))
  return { elements: texts.slice(0, count).join(), lastSeq: messages[count - 1]?.seq }
}

/** openapi.yaml, `Message`. */
const asJson = ({ seq, id, from, body, sentAtMs, receiptFor }: StoredMessage): string =>
  JSON.stringify({ seq, id, from, body, sentAt: timestamp(sentAtMs), receiptFor })

function countFitting(messages: string[]): number {
  // Each with the comma, or the bracket at the end.
  const units = messages.reduce((sum, { length }) => sum + length + 1, '['.length)
  // To count bytes takes as long as half of the rest of a read.
  if (units * BYTES_PER_UNIT_MAX <= PAGE_BYTES_MAX) return messages.length
  let bytes = '['.length
  const beyond = messages.findIndex((message) => {
    bytes += Buffer.byteLength(message) + 1
    return bytes > PAGE_BYTES_MAX
  })
  return beyond === -1 ? messages.length : beyond
}
