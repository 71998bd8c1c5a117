import type SqliteFile from 'better-sqlite3'
import {
  type Database,
  type PageSize,
  RECEIPT_ID_BYTES,
  RECEIPT_MESSAGES_MAX,
  type ReadFrom,
} from '../database.ts'
import { NEWEST_SEQ } from './inbox-expressions.ts'
import { type PackedMessages, type PackedPage, pack } from './packed-page.ts'

/** Bytes of the longest receipt in a page: a page ends where such receipts would fill it. */
const RECEIPT_BYTES_MAX = RECEIPT_MESSAGES_MAX * RECEIPT_ID_BYTES

export type ReadInbox = (...args: Parameters<Database['readInbox']>) => Promise<PackedPage>

/** Reads pages of inboxes. */
export function inboxReader(connection: SqliteFile.Database): ReadInbox {
  const countersOf = connection.prepare<[accountId: number], { newest: number; acknowledged: number }>(
    `SELECT ${NEWEST_SEQ} AS newest, acknowledged_seq AS acknowledged FROM account WHERE id = ?`,
  )
  const acknowledgedBy = connection
    .prepare<[sessionId: string], number>('SELECT acknowledged_seq FROM session WHERE id = ?')
    .pluck()
  const firstAfter = connection.prepare<
    [accountId: number, after: number],
    { bytesBefore: number; receiptsBefore: number }
  >(
    `SELECT bytes_before AS bytesBefore, receipts_before AS receiptsBefore
       FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq LIMIT 1`,
  )
  // A subquery with a limit is not merged into the outer one, so the values keep its order. Texts beyond the
  // page are not read: a long one has pages of the file to itself.
  const messagesAfter = connection.prepare<
    [bytesEnd: number, receiptsEnd: number, accountId: number, after: number, limit: number],
    PackedMessages
  >(
    `SELECT group_concat(seq) AS seqs, lower(group_concat(hex(id), '')) AS ids,
            group_concat(sender_id) AS senders, group_concat(body, char(0)) AS bodies,
            group_concat(sent_at) AS sentAtMs,
            lower(group_concat(iif(receipt_for IS NULL, NULL, seq || ':' || hex(receipt_for)))) AS receipts
       FROM (SELECT seq, id, sender_id, sent_at, receipt_for,
                    CASE WHEN bytes_before < ? AND receipts_before < ? THEN body END AS body
               FROM message WHERE recipient_id = ? AND seq > ? ORDER BY seq LIMIT ? + 0)
      WHERE body IS NOT NULL`,
  )
  const nameOf = connection
    .prepare<[accountId: string], string>('SELECT username FROM account WHERE id = ?')
    .pluck()
  const restoredAfter = connection
    .prepare<[accountId: number, after: number], number>(
      'SELECT min(from_seq) FROM restored_range WHERE account_id = ? AND to_seq > ?',
    )
    .pluck()

  const hintedSession = connection.prepare<[sessionId: string]>(
    'SELECT 1 FROM push_subscription WHERE session_id = ? AND hinted_until IS NOT NULL',
  )

  const readInbox = connection.transaction(
    (accountId: number, from: ReadFrom, size: PageSize, hintedSessionId?: string) => {
      const counters = countersOf.get(accountId)
      if (!counters) throw new Error(`There is no account ${accountId}.`)
      const after = startOf(from, counters.acknowledged)
      const restoredFrom = restoredAfter.get(accountId, after) ?? undefined
      const packed = messagesBehind(accountId, after, size)
      const wasHinted = hintedSessionId !== undefined && hintedSession.get(hintedSessionId) !== undefined
      return { packed, page: { after, newestSeq: counters.newest, restoredFrom, wasHinted } }
    },
  )

  function startOf(from: ReadFrom, acknowledged: number): number {
    if (typeof from === 'number') return from
    return from === 'acknowledged'
      ? acknowledged
      : Math.max(from.atLeast, acknowledgedBy.get(from.sessionId) ?? 0)
  }

  function messagesBehind(accountId: number, after: number, size: PageSize): PackedMessages | undefined {
    const first = firstAfter.get(accountId, after)
    if (!first) return undefined
    const bytesEnd = first.bytesBefore + size.bytes
    const receiptsEnd = first.receiptsBefore + Math.ceil(size.bytes / RECEIPT_BYTES_MAX)
    const columns = messagesAfter.get(
      bytesEnd,
      receiptsEnd,
      accountId,
      after,
      size.messages,
    ) as PackedMessages
    return { ...columns, senders: namesOf(columns.senders.split(',')).join() }
  }

  /** Most messages of a page are from few senders. Looking each one up takes a third of the page time. */
  function namesOf(accountIds: string[]): string[] {
    const names = new Map([...new Set(accountIds)].map((id) => [id, nameOf.get(id)]))
    return accountIds.map((id) => names.get(id) as string)
  }

  return async (...args) => {
    const { packed, page } = readInbox(...args)
    return { ...page, messages: pack(packed) }
  }
}
