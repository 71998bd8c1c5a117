import type SqliteFile from 'better-sqlite3'
import type { Database, PurgePortion, StoreLimits } from '../database.ts'
import { entriesWhere, type InboxIndex, NEWEST_SEQ, type Range } from './inbox-index.ts'

/** Accounts that one portion looks at, and rows that it removes: a few milliseconds of work. */
const ACCOUNTS_MAX = 1_000
const ROWS_MAX = 1_000

interface Purgeable {
  accountId: number
  newest: number
  acknowledged: number
  purged: number
  deleted: number
}

/** Removes what may go, one small portion a call, each a transaction of its own. */
export function purgeVerb(
  connection: SqliteFile.Database,
  index: InboxIndex,
  { idempotencyTtlMs }: StoreLimits,
): Pick<Database, 'purge'> {
  const accountsToPurge = connection.prepare<
    { from: number; to: number; unacknowledgedToo: number },
    Purgeable
  >(
    `SELECT id AS accountId, ${NEWEST_SEQ} AS newest, acknowledged_seq AS acknowledged, purged_seq AS purged,
            deleted_at IS NOT NULL AS deleted
       FROM account
      WHERE id > @from AND id <= @to
        AND purged_seq < iif(@unacknowledgedToo OR deleted_at IS NOT NULL, ${NEWEST_SEQ}, acknowledged_seq)
      ORDER BY id`,
  )
  const firstToKeep = connection
    .prepare<Purgeable & { acknowledgedBeforeMs: number; anyBeforeMs: number; last: number }, number>(
      `SELECT entry.seq
         FROM (${entriesWhere('seq > @purged AND seq <= @last')}) AS entry
         JOIN message USING (position)
        WHERE NOT (sent_at < @anyBeforeMs OR (entry.seq <= @acknowledged AND sent_at < @acknowledgedBeforeMs))
        ORDER BY entry.seq LIMIT 1`,
    )
    .pluck()
  const deleteMessages = connection.prepare<Range>(
    `DELETE FROM message
      WHERE position IN (SELECT position FROM (${entriesWhere('seq > @after AND seq <= @upTo')}))`,
  )
  const raisePurged = connection.prepare<[upTo: number, accountId: number]>(
    'UPDATE account SET purged_seq = ? WHERE id = ?',
  )
  const lastAccountId = connection.prepare<[], number | null>('SELECT max(id) FROM account').pluck()
  const deleteExpiredKeys = connection.prepare<[expiredBefore: number, limit: number]>(
    `DELETE FROM idempotency_key WHERE sent_at <= ?
        AND id IN (SELECT id FROM idempotency_key ORDER BY id LIMIT ?)`,
  )
  const deleteExpiredSessions = connection.prepare<{ from: number; to: number; nowMs: number }>(
    'DELETE FROM session WHERE account_id > @from AND account_id <= @to AND expires_at <= @nowMs',
  )

  const purge = connection.transaction((portion: PurgePortion): number | undefined => {
    const { fromAccountId: from, unacknowledgedBeforeMs, nowMs } = portion
    const keys = deleteExpiredKeys.run(nowMs - idempotencyTtlMs, ROWS_MAX)
    if (keys.changes === ROWS_MAX) return from

    const to = from + ACCOUNTS_MAX
    deleteExpiredSessions.run({ from, to, nowMs })
    const unacknowledgedToo = unacknowledgedBeforeMs > Number.NEGATIVE_INFINITY ? 1 : 0
    let room = ROWS_MAX
    for (const account of accountsToPurge.all({ from, to, unacknowledgedToo })) {
      const { accountId, newest, purged: after } = account
      const upTo = purgeableUpTo(account, portion, Math.min(newest, after + room))
      if (upTo === after) continue
      const range = { accountId, after, upTo }
      deleteMessages.run(range)
      index.remove(range)
      raisePurged.run(upTo, accountId)
      room -= upTo - after
      if (room === 0) return accountId - 1
    }
    return to < (lastAccountId.get() ?? 0) ? to : undefined
  })

  /**
   * Only what stands before the first message to keep may go, so that what is gone is always one range. No
   * further than `last` is looked: an inbox of a million messages is not searched for every thousand of them.
   */
  function purgeableUpTo(
    account: Purgeable,
    { acknowledgedBeforeMs, unacknowledgedBeforeMs }: PurgePortion,
    last: number,
  ): number {
    if (account.deleted) return last
    const anyBeforeMs = Math.max(unacknowledgedBeforeMs, 0)
    const kept = firstToKeep.get({ ...account, acknowledgedBeforeMs, anyBeforeMs, last })
    return kept === undefined ? last : kept - 1
  }

  return { purge: async (portion) => purge.immediate(portion) }
}
