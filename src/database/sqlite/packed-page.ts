import { type MessageList, toEncodedList, toMessageList } from '../../message-list.ts'
import type { Entry, StoredPage } from '../database.ts'
import { uuidsOf } from '../uuid.ts'

/**
 * In characters of texts and receipts. Of a longer page the reader makes the JSON, which would hold up HTTP.
 * A shorter one crosses packed: a drain is a fifth faster when both threads share the work.
 */
const LONG_LENGTH = 65_536

/** A page as it crosses between threads. */
export type PackedPage = Omit<StoredPage, 'messages'> & { messages: MessageList | PackedMessages }

/**
 * Messages as SQLite returns them: one text per column with all its values. One row per message takes three
 * times as long to read, and copying rows between threads as long again.
 */
export interface PackedMessages {
  seqs: string
  /** Hexadecimal digits, without separators. */
  ids: string
  senders: string
  /** Separated by U+0000, which no text contains. */
  bodies: string
  sentAtMs: string
  /** Of each receipt its number, a colon, and the digits of the ids; null where there is none. */
  receipts: string | null
}

const NO_MESSAGES = toMessageList([])

/** What the reader does with the messages of a page. */
export function pack(messages: PackedMessages | undefined): PackedPage['messages'] {
  if (!messages) return NO_MESSAGES
  const { bodies, receipts } = messages
  const isLong = bodies.length + (receipts?.length ?? 0) > LONG_LENGTH
  return isLong ? toEncodedList(entriesOf(messages)) : messages
}

/** What the thread that serves HTTP does with a page of the reader. */
export function unpack({ messages, ...page }: PackedPage): StoredPage {
  return { ...page, messages: 'json' in messages ? messages : toMessageList(entriesOf(messages)) }
}

function entriesOf({ seqs, ids, senders, bodies, sentAtMs, receipts }: PackedMessages): Entry[] {
  const [froms, texts, instants] = [senders.split(','), bodies.split('\0'), sentAtMs.split(',')]
  const uuids = uuidsOf(ids)
  const idsBySeq = receipts === null ? undefined : receiptsOf(receipts)
  return seqs.split(',').map((seq, at) => {
    const [id, from, body] = [uuids[at], froms[at], texts[at]]
    const receiptFor = idsBySeq?.get(seq)
    return { seq: Number(seq), id, from, body, sentAtMs: Number(instants[at]), receiptFor } as Entry
  })
}

const receiptsOf = (receipts: string) =>
  new Map(
    receipts.split(',').map((receipt) => {
      const [seq = '', ids = ''] = receipt.split(':')
      return [seq, uuidsOf(ids)]
    }),
  )
