import type SqliteFile from 'better-sqlite3'
import type { Recipient } from './recipients.ts'

/** Messages that are remembered, some 16 MB. When more come, the inbox that was counted first goes. */
const REMEMBERED_MAX = 2_000_000

/**
 * The unread messages of each sender, in memory, of inboxes that are crowded: one with fewer unread messages
 * than a sender may have there need not be counted. An inbox is read once, and from then on its messages are
 * counted as they come and as they are acknowledged, so that a sender at the limit costs no more than others.
 */
export class UnreadBySender {
  /** Numbers of messages in order, by recipient and sender. Those that were read since go when it matters. */
  readonly #inboxes = new Map<number, Map<number, number[]>>()
  #remembered = 0
  readonly #readUnread: SqliteFile.Statement<
    [recipientId: number, readSeq: number],
    { senderId: number; seq: number }
  >

  constructor(connection: SqliteFile.Database) {
    this.#readUnread = connection.prepare(
      `SELECT sender_id AS senderId, seq FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq`,
    )
  }

  /** How many unread messages of this sender the inbox had when it was last looked at. */
  count(recipient: Recipient, senderId: number): number {
    const inbox = this.#inboxes.get(recipient.id) ?? this.#read(recipient)
    const seqs = inbox.get(senderId)
    if (!seqs) return 0
    const firstUnread = seqs.findIndex((seq) => seq > recipient.readSeq)
    const read = firstUnread === -1 ? seqs.length : firstUnread
    if (read > 0) seqs.splice(0, read)
    this.#remembered -= read
    return seqs.length
  }

  /** Its newest message is of this sender. */
  added({ id, newest }: Recipient, senderId: number): void {
    const inbox = this.#inboxes.get(id)
    if (inbox) this.#add(inbox, senderId, newest)
  }

  /** For when what was added is not in the store, or an account is gone. */
  forget(): void {
    this.#inboxes.clear()
    this.#remembered = 0
  }

  #read({ id, readSeq }: Recipient): Map<number, number[]> {
    const inbox = new Map<number, number[]>()
    for (const { senderId, seq } of this.#readUnread.iterate(id, readSeq)) this.#add(inbox, senderId, seq)
    for (const [otherId, other] of this.#inboxes) {
      if (this.#remembered <= REMEMBERED_MAX) break
      this.#inboxes.delete(otherId)
      for (const seqs of other.values()) this.#remembered -= seqs.length
    }
    this.#inboxes.set(id, inbox)
    return inbox
  }

  #add(inbox: Map<number, number[]>, senderId: number, seq: number) {
    const seqs = inbox.get(senderId)
    if (seqs) seqs.push(seq)
    else inbox.set(senderId, [seq])
    this.#remembered += 1
  }
}
