import type { Page, StoredMessage } from '../database.ts'
import { uuidsOf } from '../uuid.ts'

/**
 * A page as SQLite gives it and as it crosses from the reader's thread: a text for each column, with all its
 * values. A row of its own for each message takes three times as long, and to copy those rows from thread to
 * thread as long again.
 */
export interface PackedPage extends Omit<Page, 'messages'> {
  seqs: string
  /** In hexadecimal digits, without anything between them. */
  ids: string
  senders: string
  /** No text of a message has U+0000, so that stands between them. */
  bodies: string
  sentAtMs: string
  /** Of each receipt its number, a colon, and the digits of the ids; null where there is none. */
  receipts: string | null
}

/** The page as the store is asked for it. */
export function unpack({ seqs, ids, senders, bodies, sentAtMs, receipts, ...page }: PackedPage): Page {
  if (seqs === '') return { ...page, messages: [] }
  const [froms, texts, instants] = [senders.split(','), bodies.split('\0'), sentAtMs.split(',')]
  const uuids = uuidsOf(ids)
  const idsBySeq = receipts === null ? undefined : receiptsOf(receipts)
  const messages = seqs.split(',').map((seq, at) => {
    const [id, from, body] = [uuids[at], froms[at], texts[at]]
    const receiptFor = idsBySeq?.get(seq)
    return { seq: Number(seq), id, from, body, sentAtMs: Number(instants[at]), receiptFor } as StoredMessage
  })
  return { ...page, messages }
}

const receiptsOf = (receipts: string) =>
  new Map(
    receipts.split(',').map((receipt) => {
      const [seq = '', ids = ''] = receipt.split(':')
      return [seq, uuidsOf(ids)]
    }),
  )
