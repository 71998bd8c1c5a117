import { timestamp } from '../clock.ts'
import { type PageSize, RECEIPT_ID_BYTES, type StoredMessage } from '../database/database.ts'

/** A page of the inbox ends before the message that would carry it over this size. */
export const PAGE_BYTES_MAX = 1_048_576

/** How much to read for one page: no text is longer in UTF-8 than as JSON. */
export const pageSize = (messages: number): PageSize => ({ messages, bytes: PAGE_BYTES_MAX })

/** The size of a message in a page, of what its sender can make long, in characters. */
export const lengthOf = ({ body, receiptFor }: StoredMessage): number =>
  body.length + (receiptFor?.length ?? 0) * RECEIPT_ID_BYTES

/** Messages in order, as they go to the client. */
export interface MessageList {
  /** A JSON array of openapi.yaml's `Message`. */
  json: string
  /** The `seq` of the last one; undefined when there is none. */
  lastSeq: number | undefined
}

/** A UTF-16 code unit takes no more bytes in UTF-8: RFC 3629 §3. */
const BYTES_PER_UNIT_MAX = 3

/** The first of these that fit into a page, at least one. */
export function pageOf(messages: StoredMessage[]): MessageList {
  const json = asJson(messages)
  // Counting bytes takes half as long as the rest of a read.
  if (json.length * BYTES_PER_UNIT_MAX <= PAGE_BYTES_MAX) return { json, lastSeq: messages.at(-1)?.seq }
  const texts = messages.map((message) => asJson([message]).slice(1, -1))
  const count = Math.max(countFitting(texts), 1)
  return { json: `[${texts.slice(0, count).join()}]`, lastSeq: messages[count - 1]?.seq }
}

/** openapi.yaml, `Message`. All at once, which takes half as long as one by one. */
const asJson = (messages: StoredMessage[]): string =>
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
