/** Entries of an inbox as they go to the client. */
import { timestamp } from './clock.ts'
import { type Entry, RECEIPT_ID_BYTES } from './database/batch.ts'

/** A list ends before the message that would carry it over this size, but has at least one message. */
export const LIST_BYTES_MAX = 1_048_576

/** JSON escapes a character with at most this many bytes: `\u0001`. */
const BYTES_PER_UNIT_MAX = 6

/** More than a message takes besides its text and its receipt. */
const OTHER_BYTES_MAX = 256

/** Entries in order, without a missing number between them. */
export interface MessageList {
  /** A JSON array of openapi.yaml's `Message`, as text or in UTF-8. */
  json: string | Uint8Array
  /** How many they are. */
  count: number
  /** The `seq` of the first one; undefined when there is none. */
  firstSeq: number | undefined
}

/** Lists entries from the first one on, up to a missing number, or as many as fit. */
export function toMessageList(entries: Entry[]): MessageList {
  const firstSeq = entries[0]?.seq
  const missing = entries.findIndex(({ seq }, at) => seq !== (firstSeq as number) + at)
  const run = missing === -1 ? entries : entries.slice(0, missing)
  const bytesMax = run.reduce((sum, entry) => sum + OTHER_BYTES_MAX + lengthOf(entry) * BYTES_PER_UNIT_MAX, 0)
  // All at once takes half as long as one by one.
  if (bytesMax <= LIST_BYTES_MAX)
    return { json: JSON.stringify(run.map(toMessage)), count: run.length, firstSeq }
  const texts = fittingOf(run)
  return { json: `[${texts.join()}]`, count: texts.length, firstSeq }
}

/** The same as bytes, for a list that crosses between threads. */
export function toEncodedList(entries: Entry[]): MessageList {
  const list = toMessageList(entries)
  // Not a Buffer: a short one is part of a larger one, which would cross with it.
  return { ...list, json: new TextEncoder().encode(list.json as string) }
}

/** The JSON as text. */
export const textOf = ({ json }: MessageList): string =>
  typeof json === 'string' ? json : new TextDecoder().decode(json)

/** The `seq` of the last one; undefined when there is none. */
export const lastSeqOf = ({ firstSeq, count }: MessageList): number | undefined =>
  firstSeq === undefined ? undefined : firstSeq + count - 1

/** What its sender can make long, in characters. */
const lengthOf = ({ body, receiptFor }: Entry): number =>
  body.length + (receiptFor?.length ?? 0) * RECEIPT_ID_BYTES

/** openapi.yaml, `Message`. */
const toMessage = ({ seq, id, from, body, sentAtMs, receiptFor }: Entry) => ({
  seq,
  id,
  from,
  body,
  sentAt: timestamp(sentAtMs),
  receiptFor,
})

function fittingOf(entries: Entry[]): string[] {
  const texts: string[] = []
  let bytes = '['.length
  for (const entry of entries) {
    const text = JSON.stringify(toMessage(entry))
    // With the comma, or the bracket at the end.
    bytes += Buffer.byteLength(text) + 1
    if (bytes > LIST_BYTES_MAX && texts.length > 0) break
    texts.push(text)
  }
  return texts
}
