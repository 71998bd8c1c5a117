import type pg from 'pg'
import { monotonicMs } from '../../clock.ts'
import type { Database } from '../database.ts'
import type { PurgeBatch } from '../purge-batch.ts'
import { NOW, timestampOf } from './fragments.ts'

/** The most that one batch visits and removes: some milliseconds of work. */
const ACCOUNTS_MAX = 1_000
const INBOXES_MAX = 50
const MESSAGES_PER_INBOX_MAX = 100
const DATED_MAX = 1_000

/** A node that was killed leaves its row, and the database's clock may have been set since. */
const DEAD = `alive_until NOT BETWEEN ${NOW} - interval '10 minutes' AND ${NOW} + interval '10 minutes'`

/** How long a node looks dead before its row is removed: a living node has beaten by then. */
const DEAD_MS = 60_000

/** Removes the nodes that looked dead before and still do. Returns all that look dead. */
const REMOVE_DEAD_NODES = `
WITH removed AS (DELETE FROM node WHERE ${DEAD} AND id = ANY ($1::text[]))
SELECT id FROM node WHERE ${DEAD}`

/** By the index on the date, from its end: rows to keep are not visited. */
const purgeDated = (table: string, key: string, date: string, which: '<=' | '>') => `
DELETE FROM ${table}
 WHERE (${key}) IN (
   SELECT ${key} FROM ${table} WHERE ${date} ${which} ${timestampOf('$1::bigint')}
    ORDER BY ${date} ${which === '<=' ? 'ASC' : 'DESC'} LIMIT ${DATED_MAX} FOR UPDATE SKIP LOCKED)`
const PURGE_OLD = [
  purgeDated('idempotency_key', 'sender_id, key', 'sent_at', '<='),
  purgeDated('expired_message', 'id', 'expired_at', '<='),
]
const PURGE_WRONG = [
  purgeDated('idempotency_key', 'sender_id, key', 'sent_at', '>'),
  purgeDated('expired_message', 'id', 'expired_at', '>'),
]

const PURGE_SUBSCRIPTIONS = `
DELETE FROM push_subscription
 WHERE id IN (SELECT push_subscription.id FROM push_subscription JOIN session ON session.id = session_id
               WHERE push_subscription.account_id > $1 AND push_subscription.account_id <= $2
                 AND used_at <= ${timestampOf('$3::bigint')}
                 AND (last_seen_at IS NULL OR last_seen_at <= ${timestampOf('$3::bigint')})
                 FOR UPDATE OF push_subscription SKIP LOCKED)`

/** One that has a subscription is still woken. */
const PURGE_SESSIONS = `
DELETE FROM session
 WHERE id IN (SELECT id FROM session
               WHERE account_id > $1 AND account_id <= $2 AND expires_at <= ${timestampOf('$3::bigint')}
                 AND NOT EXISTS (SELECT FROM push_subscription WHERE session_id = session.id)
                 FOR UPDATE SKIP LOCKED)`

/**
 * Several nodes may purge at once: an account that another one has locked waits for the next pass.
 *
 * As on SQLite, only what precedes the first message that stays may go, so that the missing numbers are one
 * range. The counters of `mine` may be newer than the messages that this statement sees, and a message that
 * it does not see must not count as purged: `seen` is the last one that it sees.
 */
const PURGE_INBOXES = `
WITH
mine AS MATERIALIZED (
  SELECT id, newest_seq, purged_seq, deleted_at, acknowledged_seq AS delivered_seq,
         least(acknowledged_seq, (SELECT min(session.acknowledged_seq) FROM session
                                   WHERE account_id = account.id
                                     AND expires_at > ${timestampOf('$5::bigint')})) AS acknowledged_seq
    FROM account
   WHERE id > $1 AND id <= $2
     AND purged_seq < CASE WHEN $4::bigint > 0 OR deleted_at IS NOT NULL THEN newest_seq
                           ELSE acknowledged_seq END
     AND EXISTS (SELECT FROM message WHERE recipient_id = account.id AND seq > purged_seq)
   ORDER BY id LIMIT ${INBOXES_MAX}
     FOR NO KEY UPDATE SKIP LOCKED
),
purgeable AS MATERIALIZED (
  SELECT id, purged_seq, deleted_at, delivered_seq, least(kept.seq - 1, seen.seq) AS up_to,
         kept.seq IS NULL AND seen.messages = ${MESSAGES_PER_INBOX_MAX} AS unfinished
    FROM mine
   CROSS JOIN LATERAL (
     SELECT max(seq) AS seq, count(*) AS messages
       FROM (SELECT seq FROM message
              WHERE recipient_id = mine.id AND seq > purged_seq ORDER BY seq LIMIT ${MESSAGES_PER_INBOX_MAX}
            ) AS _
   ) AS seen
    LEFT JOIN LATERAL (
     SELECT seq FROM message
      WHERE recipient_id = mine.id AND seq > purged_seq AND seq <= seen.seq AND deleted_at IS NULL
        AND NOT (sent_at < ${timestampOf('$4::bigint')} AND sent_at >= ${timestampOf('$6::bigint')}
                 OR seq <= acknowledged_seq AND sent_at < ${timestampOf('$3::bigint')})
      ORDER BY seq LIMIT 1
   ) AS kept ON true
),
message_removed AS (
  DELETE FROM message USING purgeable
   WHERE recipient_id = purgeable.id AND seq > purged_seq AND seq <= up_to
  RETURNING recipient_id
),
expired AS (
  INSERT INTO expired_message (id, sender_id, recipient_id, sent_at, expired_at)
  SELECT message.id, sender_id, recipient_id, sent_at, ${timestampOf('$5::bigint')}
    FROM purgeable JOIN message ON recipient_id = purgeable.id
   WHERE seq > greatest(purged_seq, delivered_seq) AND seq <= up_to
     AND deleted_at IS NULL AND receipt_for IS NULL
),
account_moved AS (
  UPDATE account SET purged_seq = up_to FROM purgeable
   WHERE account.id = purgeable.id AND up_to > purgeable.purged_seq
)
SELECT id, unfinished, (SELECT count(*)::int FROM message_removed) AS messages FROM purgeable ORDER BY id`

interface PurgedRow {
  id: number
  unfinished: boolean
  /** The same in all rows: of all inboxes. */
  messages: number
}

/** Purges one small batch per call. */
export function purgeVerb(pool: pg.Pool): Pick<Database, 'purge'> {
  let seemedDead: { sinceMs: number; ids: string[] } = { sinceMs: Number.NEGATIVE_INFINITY, ids: [] }

  async function removeDeadNodes() {
    const nowMs = monotonicMs()
    if (nowMs - seemedDead.sinceMs < DEAD_MS) return
    const { rows } = await pool.query<{ id: string }>(REMOVE_DEAD_NODES, [seemedDead.ids])
    seemedDead = { sinceMs: nowMs, ids: rows.map(({ id }) => id) }
  }

  return {
    async purge(batch: PurgeBatch) {
      const { fromAccountId: from, keysBeforeMs, keysAfterMs, sessionsBeforeMs, nowMs } = batch
      for (const statement of PURGE_OLD)
        if ((await pool.query(statement, [keysBeforeMs])).rowCount === DATED_MAX)
          return { next: from, messages: 0 }
      for (const statement of PURGE_WRONG)
        if ((await pool.query(statement, [keysAfterMs])).rowCount === DATED_MAX)
          return { next: from, messages: 0 }

      const to = from + ACCOUNTS_MAX
      await pool.query(PURGE_SUBSCRIPTIONS, [from, to, batch.subscriptionsBeforeMs])
      await pool.query(PURGE_SESSIONS, [from, to, sessionsBeforeMs])
      const { acknowledgedBeforeMs, unacknowledgedBeforeMs, unacknowledgedFromMs } = batch
      // Nothing is older than the clocks, and the statement takes no infinity.
      const befores = [acknowledgedBeforeMs, unacknowledgedBeforeMs].map((ms) => Math.max(ms, 0))
      const values = [from, to, ...befores, nowMs, unacknowledgedFromMs]
      const { rows } = await pool.query<PurgedRow>(PURGE_INBOXES, values)
      const messages = rows[0]?.messages ?? 0
      const unfinished = rows.find((row) => row.unfinished)
      if (unfinished) return { next: unfinished.id - 1, messages }
      if (rows.length === INBOXES_MAX) return { next: rows.at(-1)?.id, messages }

      await removeDeadNodes()
      const last = await pool.query<{ id: number | null }>('SELECT max(id) AS id FROM account')
      return { next: to < (last.rows[0]?.id ?? 0) ? to : undefined, messages }
    },
  }
}
