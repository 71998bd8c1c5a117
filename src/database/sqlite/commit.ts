import type SqliteFile from 'better-sqlite3'
import type {
  Acknowledgement,
  AddedReceipt,
  AppendOutcome,
  Batch,
  CommitResult,
  Database,
  LastSeen,
  NewMessage,
  StoreLimits,
} from '../database.ts'
import { bytesToUuid, uuidToBytes } from '../uuid.ts'
import { NEWEST_SEQ } from './inbox-expressions.ts'
import { Receipts } from './receipts.ts'
import type { Recipient, Recipients } from './recipients.ts'
import { UnreadBySender } from './unread-by-sender.ts'

interface StoredKey {
  fingerprint: Buffer
  messageId: Buffer
  sentAt: number
  live: number
}

/** The values of a row, in the order in which a statement names its columns. */
type KeyRow = [number, string, Uint8Array, Uint8Array, number, number]
type MessageRow = [number, number, Uint8Array, number, number, number, number, number, string]

/**
 * Writes a batch in one transaction: one synchronous run of prepared statements, so that nothing runs between
 * them; through the ORM a row costs about 20 times as much.
 */
export function commitVerb(
  connection: SqliteFile.Database,
  recipients: Recipients,
  { inboxLimit, inboxBytes, senderLimit }: StoreLimits,
): Pick<Database, 'commit'> {
  const unreadBySender = new UnreadBySender(connection)
  const receipts = new Receipts(connection, recipients)
  const acknowledgeSession = connection.prepare<Acknowledgement>(
    'UPDATE session SET acknowledged_seq = @seq WHERE id = @sessionId AND acknowledged_seq < @seq',
  )
  const acknowledgeAccount = connection.prepare<Acknowledgement>(
    `UPDATE account SET acknowledged_seq = min(@seq, ${NEWEST_SEQ})
      WHERE id = @accountId AND acknowledged_seq < @seq`,
  )
  const noteLastSeen = connection.prepare<LastSeen>(
    `UPDATE account SET last_seen_at = @atMs
      WHERE username = @username AND NOT coalesce(last_seen_at, 0) BETWEEN @atMs AND @nowMs`,
  )
  const noteSessionLastSeen = connection.prepare<LastSeen>(
    `UPDATE session SET last_seen_at = @atMs
      WHERE id = @sessionId AND NOT coalesce(last_seen_at, 0) BETWEEN @atMs AND @nowMs`,
  )
  const findKey = connection.prepare<[senderId: number, key: string], StoredKey>(
    `SELECT fingerprint, message_id AS messageId, sent_at AS sentAt, live
       FROM idempotency_key WHERE sender_id = ? AND key = ?`,
  )
  // Replaces an expired one.
  const putKey = connection.prepare<KeyRow>(
    `INSERT OR REPLACE INTO idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)
     VALUES (?, ?, ?, ?, ?, ?)`,
  )
  const insertMessage = connection.prepare<MessageRow>(
    `INSERT INTO message
       (recipient_id, seq, id, sender_id, sent_at, bytes_before, receipts_before, wants_receipt, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const findBlock = connection.prepare<[accountId: number, blockedId: number]>(
    'SELECT 1 FROM block WHERE account_id = ? AND blocked_id = ?',
  )

  const commitAll = connection.transaction((batch: Batch): CommitResult => {
    const added: AddedReceipt[] = []
    for (const acknowledgement of batch.acknowledgements) {
      acknowledgeSession.run(acknowledgement)
      added.push(...receipts.append(acknowledgement))
      acknowledgeAccount.run(acknowledgement)
    }
    for (const seen of batch.lastSeen) (seen.sessionId ? noteSessionLastSeen : noteLastSeen).run(seen)
    return { outcomes: batch.appends.map(appendMessage), receipts: added }
  })

  /**
   * Gives a message the next seq of the recipient's inbox, unless it is refused. Runs inside the batch's
   * transaction; a key of an earlier append of the same batch is seen too.
   */
  function appendMessage(message: NewMessage): AppendOutcome {
    const { senderId, from, to, body, sentAtMs, wantsReceipt, idempotency } = message
    const known = idempotency && findKey.get(senderId, idempotency.key)
    if (known && known.sentAt > idempotency.expiredBeforeMs) {
      if (!known.fingerprint.equals(idempotency.fingerprint)) return { kind: 'idempotency_key_reused' }
      return {
        kind: 'replayed',
        id: bytesToUuid(known.messageId),
        sentAtMs: known.sentAt,
        live: known.live === 1,
      }
    }

    const recipient = recipients.find(to)
    if (!recipient) return { kind: 'recipient_not_found' }
    if (recipient.blocks && findBlock.get(recipient.id, senderId)) return { kind: 'blocked' }
    if (wantsReceipt && hasTooManyReceipts(from)) return { kind: 'too_many_receipts' }
    const bytes = Buffer.byteLength(body)
    if (inboxLimitRefusal(recipient, senderId, bytes)) {
      recipients.refresh(recipient)
      const kind = inboxLimitRefusal(recipient, senderId, bytes)
      if (kind) return { kind }
    }

    const live = message.live && !recipient.hidesPresence
    recipient.newestSeq += 1
    const id = uuidToBytes(message.id)
    const { id: recipientId, newestSeq: seq, bytes: bytesBefore, receipts: receiptsBefore } = recipient
    const wants = wantsReceipt ? 1 : 0
    insertMessage.run(recipientId, seq, id, senderId, sentAtMs, bytesBefore, receiptsBefore, wants, body)
    recipient.bytes += bytes
    if (wantsReceipt) receipts.wanted()
    unreadBySender.added(recipient, senderId)
    if (idempotency)
      putKey.run(senderId, idempotency.key, idempotency.fingerprint, id, sentAtMs, live ? 1 : 0)
    return { kind: 'appended', seq, live }
  }

  /** Receipts count against no limit of the inbox, so they have one of their own. */
  function hasTooManyReceipts(username: string) {
    const sender = recipients.find(username)
    if (!sender || sender.receipts - sender.receiptsRead < inboxLimit) return false
    recipients.refresh(sender)
    return sender.receipts - sender.receiptsRead >= inboxLimit
  }

  /** Which limit of the inbox refuses a message, by its counters in memory. */
  function inboxLimitRefusal(recipient: Recipient, senderId: number, bytes: number) {
    const unread = recipient.newestSeq - recipient.notUnread
    if (unread >= inboxLimit) return 'inbox_full'
    const unreadBytes = recipient.bytes - recipient.bytesRead
    if (unread > 0 && unreadBytes + bytes > inboxBytes) return 'inbox_full'
    const isCrowded = unread >= senderLimit
    if (isCrowded && unreadBySender.count(recipient, senderId) >= senderLimit) return 'too_many_unread'
    return undefined
  }

  return {
    commit: async (batch) => {
      try {
        // Immediate: a transaction that reads first and writes later cannot wait for a lock
        // (sqlite.org/isolation.html).
        return commitAll.immediate(batch)
      } catch (error) {
        recipients.clear()
        unreadBySender.clear()
        throw error
      }
    },
  }
}
