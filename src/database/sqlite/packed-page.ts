import type { Entry, StoredPage } from '../database.ts'
import { uuidsOf } from '../uuid.ts'

/**
 * A page as SQLite returns it and as it crosses between threads: one text per column with all its values. One
 * row per message takes three times as long to read, and copying rows between threads as long again.
 */
export interface PackedPage extends Omit<StoredPage, 'messages'> {
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

/** Unpacks a page. */
export function unpack({ seqs, ids, senders, bodies, sentAtMs, receipts, ...page }: PackedPage): StoredPage {
  if (seqs === '') return { ...page, messages: [] }
  const [froms, texts, instants] = [senders.split(','), bodies.split('\0'), sentAtMs.split(',')]
  const uuids = uuidsOf(ids)
  const idsBySeq = receipts === null ? undefined : receiptsOf(receipts)
  const messages = seqs.split(',').map((seq, at) => {
    const [id, from, body] = [uuids[at], froms[at], texts[at]]
    const receiptFor = idsBySeq?.get(seq)
    return { seq: Number(seq), id, from, body, sentAtMs: Number(instants[at]), receiptFor } as Entry
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
