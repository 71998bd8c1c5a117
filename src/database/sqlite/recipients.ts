import type SqliteFile from 'better-sqlite3'
import { READ_OR_SKIPPED, READ_SEQ } from './inboxes.ts'

/** Recipients that are remembered, some 25 MB. */
const REMEMBERED_MAX = 100_000

/** What an append must know of its recipient. */
export interface Recipient {
  id: number
  /** Raised with each append. */
  newest: number
  /**
   * `newest - read` messages were unread at the most when the inbox was looked at; more may have been read
   * since. Receipts do not count, so each raises both.
   */
  read: number
  /** How far the inbox was read then. */
  readSeq: number
  /** Bytes of text that came up to the newest message; raised with each append. */
  bytes: number
  /** `bytes - bytesRead` of them were unread at the most when the inbox was looked at. */
  bytesRead: number
  /** Receipts that came up to the newest entry; raised with each. */
  receipts: number
  /** `receipts - receiptsRead` of them were unread at the most when the inbox was looked at. */
  receiptsRead: number
  /** Whether the account blocks anybody; 0 or 1. */
  blocks: number
  /** Whether others do not see when it is online; 0 or 1. */
  hidesPresence: number
}

/** The recipients of messages, in memory: to look for each of them took a fifth of the time of a commit. */
export class Recipients {
  readonly #remembered = new Map<string, Recipient>()
  readonly #find: SqliteFile.Statement<[username: string], Recipient>
  readonly #findRead: SqliteFile.Statement<
    [accountId: number],
    { read: number; readSeq: number; bytesRead: number | null; receiptsRead: number | null }
  >

  constructor(connection: SqliteFile.Database) {
    // Where the unread text begins, and which of it is receipts, takes one more look, which is made when so
    // much has come that it matters.
    this.#find = connection.prepare(
      `SELECT account.id, max(newest_seq, coalesce(last.seq, 0)) AS newest,
              ${READ_OR_SKIPPED} AS read, ${READ_SEQ} AS readSeq,
              coalesce(last.bytes_before + octet_length(last.body), 0) AS bytes, 0 AS bytesRead,
              coalesce(last.receipts_before + (last.receipt_for IS NOT NULL), 0) AS receipts,
              0 AS receiptsRead,
              EXISTS (SELECT 1 FROM block WHERE account_id = account.id) AS blocks,
              hides_presence AS hidesPresence
         FROM account
         LEFT JOIN message AS last ON last.recipient_id = account.id
          AND last.seq = (SELECT max(seq) FROM message WHERE recipient_id = account.id)
        WHERE username = ? AND deleted_at IS NULL`,
    )
    this.#findRead = connection.prepare(
      `SELECT ${READ_OR_SKIPPED} AS read, ${READ_SEQ} AS readSeq,
              bytes_before AS bytesRead, receipts_before AS receiptsRead
         FROM account
         LEFT JOIN message ON recipient_id = account.id
          AND seq = (SELECT min(seq) FROM message WHERE recipient_id = account.id AND seq > ${READ_SEQ})
        WHERE account.id = ?`,
    )
  }

  find(username: string): Recipient | undefined {
    const known = this.#remembered.get(username)
    if (known) return known
    const recipient = this.#find.get(username)
    if (!recipient) return undefined
    if (this.#remembered.size === REMEMBERED_MAX) this.#remembered.clear()
    this.#remembered.set(username, recipient)
    return recipient
  }

  /** For when it matters how much was read since. */
  refresh(recipient: Recipient): void {
    const found = this.#findRead.get(recipient.id)
    if (!found) return
    recipient.readSeq = found.readSeq
    recipient.bytesRead = found.bytesRead ?? recipient.bytes
    recipient.receiptsRead = found.receiptsRead ?? recipient.receipts
    recipient.read = found.read + recipient.receipts - recipient.receiptsRead
  }

  /** For when what was raised is not in the store, or an account is gone. */
  forget(): void {
    this.#remembered.clear()
  }

  /** For when an account blocks somebody or no longer does, or hides its presence or shows it. */
  forgetOne(username: string): void {
    this.#remembered.delete(username)
  }
}
