import type SqliteFile from 'better-sqlite3'
import { messageId } from '../../message-id.ts'
import { type Acknowledgement, type AddedReceipt, RECEIPT_MESSAGES_MAX } from '../database.ts'
import { bytesToUuids, uuidToBytes } from '../uuid.ts'
import type { Recipients } from './recipients.ts'

/** A message that is acknowledged, and whose sender wants a receipt. */
interface Wanting {
  id: Buffer
  /** The sender's name. */
  sender: string
  /** The name of the account that acknowledges. */
  reader: string
}

/** Not in the migrations, because Prisma's engine cannot describe a partial index of SQLite. */
const WANTING_INDEX =
  'CREATE INDEX IF NOT EXISTS message_wants_receipt ON message (recipient_id, seq) WHERE wants_receipt'

/** Values in the order of the columns that the statement names. */
type ReceiptRow = [number, number, Uint8Array, number, number, number, number, Uint8Array]

/** Appends receipts, in the transaction of the acknowledgement that they report. */
export class Receipts {
  readonly #recipients: Recipients
  readonly #findWanting: SqliteFile.Statement<Acknowledgement, Wanting>
  readonly #insert: SqliteFile.Statement<ReceiptRow>
  /** Whether any message asks for one. Without one, an acknowledgement costs nothing more. */
  #anyWanted: boolean

  constructor(connection: SqliteFile.Database, recipients: Recipients) {
    this.#recipients = recipients
    connection.exec(WANTING_INDEX)
    // By the index, or not at all: visiting each message would cost as much as reading it.
    this.#findWanting = connection.prepare(
      `SELECT message.id, sender.username AS sender, account.username AS reader
         FROM account
         JOIN message INDEXED BY message_wants_receipt ON recipient_id = account.id
          AND wants_receipt AND seq > max(account.acknowledged_seq, account.purged_seq) AND seq <= @seq
         JOIN account AS sender ON sender.id = sender_id
        WHERE account.id = @accountId
          AND NOT EXISTS (SELECT 1 FROM block WHERE account_id = account.id AND blocked_id = sender.id)
          AND NOT EXISTS (SELECT 1 FROM block WHERE account_id = sender.id AND blocked_id = account.id)
        ORDER BY seq`,
    )
    this.#insert = connection.prepare(
      `INSERT INTO message
         (recipient_id, seq, id, sender_id, sent_at, bytes_before, receipts_before, receipt_for, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')`,
    )
    const any = connection.prepare(
      'SELECT 1 FROM message INDEXED BY message_wants_receipt WHERE wants_receipt',
    )
    this.#anyWanted = any.get() !== undefined
  }

  /** Called when a message asks for one. */
  wanted(): void {
    this.#anyWanted = true
  }

  /** Appends the receipts of an acknowledgement. Called before the account's counter is raised. */
  append(acknowledgement: Acknowledgement): AddedReceipt[] {
    if (!this.#anyWanted) return []
    const idsBySender = new Map<string, Buffer[]>()
    let reader = ''
    for (const wanting of this.#findWanting.iterate(acknowledgement)) {
      reader = wanting.reader
      const ids = idsBySender.get(wanting.sender)
      if (ids) ids.push(wanting.id)
      else idsBySender.set(wanting.sender, [wanting.id])
    }
    const added: AddedReceipt[] = []
    for (const [sender, ids] of idsBySender)
      for (let at = 0; at < ids.length; at += RECEIPT_MESSAGES_MAX) {
        const receiptFor = Buffer.concat(ids.slice(at, at + RECEIPT_MESSAGES_MAX))
        added.push(...this.#appendReceipt(sender, reader, acknowledgement, receiptFor))
      }
    return added
  }

  /** Gives a receipt the next seq of its inbox. Empty when the recipient of the receipt was deleted. */
  #appendReceipt(
    to: string,
    from: string,
    { accountId, atMs: sentAtMs }: Acknowledgement,
    receiptFor: Buffer,
  ): AddedReceipt[] {
    const owner = this.#recipients.find(to)
    if (!owner) return []
    const [seq, id] = [owner.newestSeq + 1, messageId(sentAtMs)]
    const { bytes, receipts } = owner
    this.#insert.run(owner.id, seq, uuidToBytes(id), accountId, sentAtMs, bytes, receipts, receiptFor)
    owner.newestSeq = seq
    owner.notUnread += 1
    owner.receipts += 1
    return [{ to, entry: { seq, id, from, body: '', sentAtMs, receiptFor: bytesToUuids(receiptFor) } }]
  }
}
