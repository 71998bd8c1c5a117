import type SqliteFile from 'better-sqlite3'
import type { Database } from '../database.ts'
import type { PurgeBatch, Purged } from '../purge-batch.ts'
import { NEWEST_SEQ } from './inbox-expressions.ts'

/** Accounts that one batch visits, and rows that it removes: a few milliseconds of work. */
const ACCOUNTS_MAX = 1_000
const ROWS_MAX = 250

interface Purgeable {
  accountId: number
  acknowledged: number
  purged: number
  /** How far the account has acknowledged, by whichever session. */
  delivered: number
  deleted: number
}

/** The `seq` that every living session has acknowledged; without sessions, that of the account. */
const ACKNOWLEDGED_BY_ALL = `coalesce(
  (SELECT min(session.acknowledged_seq) FROM session WHERE account_id = account.id AND expires_at > @nowMs),
  acknowledged_seq)`

/**
 * Purges one small batch per call, each in a transaction of its own.
 *
 * @param isLogLong whether the write-ahead log should be written back before more is added to it
 */
export function purgeVerb(
  connection: SqliteFile.Database,
  isLogLong: () => boolean,
): Pick<Database, 'purge'> {
  const accountsToPurge = connection.prepare<
    { from: number; to: number; anyBeforeMs: number; nowMs: number },
    Purgeable
  >(
    `SELECT id AS accountId, ${ACKNOWLEDGED_BY_ALL} AS acknowledged, purged_seq AS purged,
            acknowledged_seq AS delivered, deleted_at IS NOT NULL AS deleted
       FROM account
      WHERE id > @from AND id <= @to
        AND purged_seq < iif(@anyBeforeMs > 0 OR deleted_at IS NOT NULL,
                             ${NEWEST_SEQ}, ${ACKNOWLEDGED_BY_ALL})
      ORDER BY id`,
  )
  const messagesBehind = connection.prepare<
    [accountId: number, purged: number, limit: number],
    { seq: number; sentAtMs: number }
  >(
    `SELECT seq, sent_at AS sentAtMs FROM message
      WHERE recipient_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
  )
  const deleteMessages = connection.prepare<[accountId: number, after: number, upTo: number]>(
    'DELETE FROM message WHERE recipient_id = ? AND seq > ? AND seq <= ?',
  )
  // Kept as expired, for their senders to see.
  const noteExpired = connection.prepare<{ accountId: number; after: number; upTo: number; nowMs: number }>(
    `INSERT INTO expired_message (id, sender_id, recipient_id, sent_at, expired_at)
     SELECT id, sender_id, recipient_id, sent_at, @nowMs FROM message
      WHERE recipient_id = @accountId AND seq > @after AND seq <= @upTo AND receipt_for IS NULL`,
  )
  const raisePurged = connection.prepare<{ upTo: number; accountId: number }>(
    'UPDATE account SET purged_seq = @upTo, newest_seq = max(newest_seq, @upTo) WHERE id = @accountId',
  )
  const lastAccountId = connection.prepare<[], number | null>('SELECT max(id) FROM account').pluck()
  // By the index on the date, from its end: rows to keep are not visited.
  const deleteDated = (which: '<=' | '>') =>
    [
      ['idempotency_key', 'sent_at'],
      ['expired_message', 'expired_at'],
    ].map(([table, date]) =>
      connection.prepare<[dateMs: number]>(
        `DELETE FROM ${table} WHERE rowid IN (
           SELECT rowid FROM ${table} WHERE ${date} ${which} ?
            ORDER BY ${date} ${which === '<=' ? 'ASC' : 'DESC'} LIMIT ${ROWS_MAX})`,
      ),
    )
  const [deleteOld, deleteWrong] = [deleteDated('<='), deleteDated('>')]
  const deleteUnusedSubscriptions = connection.prepare<{
    from: number
    to: number
    subscriptionsBeforeMs: number
  }>(
    `DELETE FROM push_subscription
      WHERE account_id > @from AND account_id <= @to AND used_at <= @subscriptionsBeforeMs
        AND (SELECT coalesce(last_seen_at, 0) FROM session WHERE id = session_id) <= @subscriptionsBeforeMs`,
  )
  // One that has a subscription is still woken.
  const deleteExpiredSessions = connection.prepare<{ from: number; to: number; sessionsBeforeMs: number }>(
    `DELETE FROM session
      WHERE account_id > @from AND account_id <= @to AND expires_at <= @sessionsBeforeMs
        AND NOT EXISTS (SELECT 1 FROM push_subscription WHERE session_id = session.id)`,
  )

  const purge = connection.transaction((batch: PurgeBatch): Purged => {
    const { fromAccountId: from, sessionsBeforeMs, subscriptionsBeforeMs, nowMs } = batch
    const dated = [
      ...deleteOld.map((rows) => rows.run(batch.keysBeforeMs)),
      ...deleteWrong.map((rows) => rows.run(batch.keysAfterMs)),
    ]
    if (dated.some(({ changes }) => changes === ROWS_MAX)) return { next: from, messages: 0 }

    const to = from + ACCOUNTS_MAX
    deleteUnusedSubscriptions.run({ from, to, subscriptionsBeforeMs })
    deleteExpiredSessions.run({ from, to, sessionsBeforeMs })
    const anyBeforeMs = Math.max(batch.unacknowledgedBeforeMs, 0)
    let room = ROWS_MAX
    for (const account of accountsToPurge.all({ from, to, anyBeforeMs, nowMs })) {
      const { accountId, purged } = account
      const rows = messagesBehind.all(accountId, purged, room)
      const kept = rows.findIndex(({ seq, sentAtMs }) => mustStay(account, batch, seq, sentAtMs))
      const count = kept === -1 ? rows.length : kept
      const upTo = rows[count - 1]?.seq
      if (upTo === undefined) continue
      const after = Math.max(purged, account.delivered)
      if (!account.deleted && upTo > after) noteExpired.run({ accountId, after, upTo, nowMs })
      deleteMessages.run(accountId, purged, upTo)
      raisePurged.run({ upTo, accountId })
      room -= count
      if (room === 0) return { next: accountId - 1, messages: ROWS_MAX }
    }
    return { next: to < (lastAccountId.get() ?? 0) ? to : undefined, messages: ROWS_MAX - room }
  })

  return {
    // The next pass finds the rest.
    purge: async (batch) => (isLogLong() ? { next: undefined, messages: 0 } : purge.immediate(batch)),
  }
}

/** Removes only what precedes the first message that stays, so that the missing numbers are one range. */
function mustStay(account: Purgeable, batch: PurgeBatch, seq: number, sentAtMs: number): boolean {
  const { acknowledgedBeforeMs, unacknowledgedBeforeMs, unacknowledgedFromMs } = batch
  if (account.deleted) return false
  if (sentAtMs >= unacknowledgedFromMs && sentAtMs < unacknowledgedBeforeMs) return false
  return seq > account.acknowledged || sentAtMs >= acknowledgedBeforeMs
}
