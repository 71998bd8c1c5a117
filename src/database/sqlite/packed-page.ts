import type { Entry } from '../database.ts'
import { uuidsOf } from '../uuid.ts'

/**
 * The messages of a page as SQLite returns them: one text per column with all its values. One row per message
 * takes three times as long to read.
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

/** Unpacks the messages of a page. */
export function unpack({ seqs, ids, senders, bodies, sentAtMs, receipts }: PackedMessages): Entry[] {
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
