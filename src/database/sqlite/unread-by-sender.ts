import type SqliteFile from 'better-sqlite3'
import type { Recipient } from './recipients.ts'

/** Messages cached, at 16 bytes each. */
const CACHED_MAX = 2_000_000

/** The unread messages of an inbox in order, and how many there are of each sender. */
interface CountedInbox {
  seqs: number[]
  senderIds: number[]
  bySender: Map<number, number>
}

/**
 * Counts unread messages by sender, for crowded inboxes: one with fewer unread messages than the limit of one
 * sender need not be counted. An inbox is read once, and then counted as messages are appended and
 * acknowledged, so that a sender at the limit costs no more than others. An index would cost one more page
 * per message.
 */
export class UnreadBySender {
  /** By recipient, the one counted last at the end. */
  readonly #inboxes = new Map<number, CountedInbox>()
  #cached = 0
  readonly #cachedMax: number
  readonly #readUnread: SqliteFile.Statement<
    [recipientId: number, readSeq: number],
    { senderId: number; seq: number }
  >

  /** @param cachedMax above it, the inbox that was counted the longest ago is evicted */
  constructor(connection: SqliteFile.Database, cachedMax = CACHED_MAX) {
    this.#cachedMax = cachedMax
    this.#readUnread = connection.prepare(
      `SELECT sender_id AS senderId, seq FROM message
        WHERE recipient_id = ? AND seq > ? AND receipt_for IS NULL ORDER BY seq`,
    )
  }

  /** How many unread messages of this sender the inbox has. */
  count({ id, readSeq }: Recipient, senderId: number): number {
    const known = this.#inboxes.get(id)
    const inbox = known ?? { seqs: [], senderIds: [], bySender: new Map() }
    this.#inboxes.delete(id)
    this.#inboxes.set(id, inbox)
    if (known) this.#dropRead(inbox, readSeq)
    else for (const row of this.#readUnread.iterate(id, readSeq)) this.#add(inbox, row.senderId, row.seq)
    return inbox.bySender.get(senderId) ?? 0
  }

  /** Adds the newest message, of this sender. */
  added({ id, newestSeq, readSeq }: Recipient, senderId: number): void {
    const inbox = this.#inboxes.get(id)
    if (!inbox) return
    this.#dropRead(inbox, readSeq)
    this.#add(inbox, senderId, newestSeq)
  }

  /** Empties the cache: messages that were added are not in the store. */
  clear(): void {
    this.#inboxes.clear()
    this.#cached = 0
  }

  #add({ seqs, senderIds, bySender }: CountedInbox, senderId: number, seq: number) {
    seqs.push(seq)
    senderIds.push(senderId)
    bySender.set(senderId, (bySender.get(senderId) ?? 0) + 1)
    this.#cached += 1
    for (const [id, oldest] of this.#inboxes) {
      if (this.#cached <= this.#cachedMax || this.#inboxes.size === 1) break
      this.#inboxes.delete(id)
      this.#cached -= oldest.seqs.length
    }
  }

  #dropRead({ seqs, senderIds, bySender }: CountedInbox, readSeq: number) {
    const firstUnread = seqs.findIndex((seq) => seq > readSeq)
    const read = firstUnread === -1 ? seqs.length : firstUnread
    if (read === 0) return
    seqs.splice(0, read)
    this.#cached -= read
    for (const senderId of senderIds.splice(0, read)) {
      const left = (bySender.get(senderId) ?? 0) - 1
      if (left > 0) bySender.set(senderId, left)
      else bySender.delete(senderId)
    }
  }
}
