import type pg from 'pg'
import { toMessageList } from '../../message-list.ts'
import { type Database, type Entry, type PageSize, RECEIPT_ID_BYTES, type ReadFrom } from '../database.ts'
import { bytesToUuid, bytesToUuids } from '../uuid.ts'
import { msOf } from './fragments.ts'

/** The size of a receipt's ids in a page. */
const RECEIPT_BYTES = `coalesce(octet_length(receipt_for) / 16 * ${RECEIPT_ID_BYTES}, 0)`

/**
 * Counters and messages in one statement, so that they are of the same moment. The sum keeps long messages
 * from filling the memory.
 */
const READ_INBOX = `
SELECT newest_seq, start.seq AS after, page.*,
       EXISTS (SELECT FROM push_subscription
                WHERE session_id = $6 AND hinted_until IS NOT NULL) AS was_hinted,
       (SELECT min(from_seq) FROM restored_range
         WHERE account_id = account.id AND to_seq > start.seq) AS restored_from
  FROM account
 CROSS JOIN LATERAL (
   SELECT CASE WHEN $2::bigint IS NULL THEN acknowledged_seq
               ELSE greatest($2, (SELECT acknowledged_seq FROM session WHERE session.id = $3)) END AS seq
 ) AS start
  LEFT JOIN LATERAL (
   SELECT message.seq, message.id, username AS "from", body, ${msOf('sent_at')} AS sent_at_ms, receipt_for
     FROM (
       SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_ahead
         FROM message CROSS JOIN LATERAL (SELECT octet_length(body) + ${RECEIPT_BYTES} AS bytes) AS _
        WHERE recipient_id = account.id AND seq > start.seq ORDER BY seq LIMIT $4
     ) AS message
     JOIN account AS sender ON sender.id = sender_id
    WHERE bytes_ahead < $5
 ) AS page ON true
 WHERE account.id = $1
 ORDER BY page.seq`

interface InboxRow {
  newest_seq: number
  after: number
  restored_from: number | null
  was_hinted: boolean
  /** Null in the only row when there is no message. */
  seq: number | null
  id: Buffer
  from: string
  body: string
  sent_at_ms: number
  receipt_for: Buffer | null
}

/** Reads pages of inboxes. */
export function inboxReads(pool: pg.Pool): Pick<Database, 'readInbox'> {
  return {
    async readInbox(accountId: number, from: ReadFrom, { messages, bytes }: PageSize, hintedSessionId) {
      const [behind, sessionId] = parametersOf(from)
      const values = [accountId, behind, sessionId, messages, bytes, hintedSessionId]
      const { rows } = await pool.query<InboxRow>({ name: 'read_inbox', text: READ_INBOX, values })
      const [first] = rows
      if (!first) throw new Error(`There is no account ${accountId}.`)
      return {
        after: first.after,
        messages: toMessageList(rows.flatMap(toEntries)),
        newestSeq: first.newest_seq,
        restoredFrom: first.restored_from ?? undefined,
        wasHinted: first.was_hinted,
      }
    },
  }
}

/** An entry, or none. */
function toEntries({ seq, id, from, body, sent_at_ms: sentAtMs, receipt_for: ids }: InboxRow): Entry[] {
  if (seq === null) return []
  return [{ seq, id: bytesToUuid(id), from, body, sentAtMs, receiptFor: ids ? bytesToUuids(ids) : undefined }]
}

/** The number to read behind at least, and the session that may be further. */
function parametersOf(from: ReadFrom): [number | null, string | null] {
  if (from === 'acknowledged') return [null, null]
  return typeof from === 'number' ? [from, null] : [from.atLeast, from.sessionId]
}
