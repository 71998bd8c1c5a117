import pg from 'pg'
import type { Append, AppendOutcome, Batch, Database, StoreLimits } from '../database.ts'
import { bytesToUuid } from '../uuid.ts'
import { msOf, onlineElsewhere, timestampOf } from './fragments.ts'

/** Recipients named in one notification: it holds 8 000 bytes, and these take 50 each at the most. */
const HINTS_MAX = 150

/**
 * A whole batch in one statement, and so in one transaction and one round trip.
 *
 * `touched` comes first: all accounts that the batch writes are locked in the order of their ids, so that the
 * batches of several nodes wait for one another and never in a circle; and whoever waited sees the counters
 * that the other one left (postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED). Everything
 * else is derived from it. A row is written once: of two updates of one row in one statement one is lost.
 *
 * An account moves with its sessions: one that has ended meanwhile acknowledges nothing.
 *
 * Rows are looked up by arrays of keys, or one by one (LATERAL), so that the plan goes by the indexes however
 * small the tables were when it was made.
 *
 * An idempotency key that another node wrote while this statement waited is not seen by it. Then the unique
 * index stops the batch, and it is tried again.
 */
const COMMIT = `
WITH
acknowledged AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1) AS _ ("sessionId" text, "accountId" int, seq bigint)
),
seen AS MATERIALIZED (
  SELECT username, ${timestampOf('"atMs"')} AS at, ${timestampOf('"nowMs"')} AS noted_at
    FROM json_to_recordset($2) AS _ (username text, "atMs" bigint, "nowMs" bigint)
),
sent AS MATERIALIZED (
  SELECT n, "senderId" AS sender_id, "to" AS recipient, uuid_send(id) AS id, body,
         ${timestampOf('"sentAtMs"')} AS sent_at, live, key, decode(fingerprint, 'hex') AS fingerprint
    FROM json_to_recordset($3) AS _ (n int, "senderId" int, "to" text, id uuid, body text,
                                     "sentAtMs" bigint, live boolean, key text, fingerprint text)
),
touched AS MATERIALIZED (
  SELECT id, username, deleted_at, newest_seq, acknowledged_seq, purged_seq
    FROM account
   WHERE id = ANY (ARRAY(SELECT "accountId" FROM acknowledged))
      OR username = ANY (ARRAY(SELECT recipient FROM sent UNION SELECT username FROM seen))
   ORDER BY id
     FOR NO KEY UPDATE
),
session_moved AS (
  UPDATE session SET acknowledged_seq = seq
    FROM acknowledged JOIN touched ON touched.id = "accountId"
   WHERE session.id = "sessionId" AND session.acknowledged_seq < seq
     AND session.id = ANY (ARRAY(SELECT "sessionId" FROM acknowledged))
  RETURNING "accountId", seq
),
inbox AS MATERIALIZED (
  SELECT id, username, deleted_at, newest_seq, purged_seq, at, noted_at,
         greatest(acknowledged_seq, least(newest_seq, coalesce(furthest.seq, 0))) AS acknowledged_seq,
         ${onlineElsewhere('touched.id', '$6::text')} AS online
    FROM touched
    LEFT JOIN (SELECT "accountId" AS id, max(seq) AS seq FROM session_moved GROUP BY id) AS furthest USING (id)
    LEFT JOIN seen USING (username)
),
room AS MATERIALIZED (
  SELECT inbox.id, $5 - (newest_seq - read - coalesce(skipped, 0)) AS room
    FROM inbox
   CROSS JOIN LATERAL (SELECT greatest(acknowledged_seq, purged_seq) AS read) AS reading
   CROSS JOIN LATERAL (
     SELECT sum(to_seq - greatest(from_seq - 1, read)) AS skipped
       FROM restored_range WHERE account_id = inbox.id AND to_seq > read
   ) AS skipping
),
known AS MATERIALIZED (
  SELECT n, stored.fingerprint = sent.fingerprint AS same, stored.message_id,
         ${msOf('stored.sent_at')} AS sent_at_ms, stored.live
    FROM sent CROSS JOIN LATERAL (
      SELECT * FROM idempotency_key WHERE sender_id = sent.sender_id AND key = sent.key LIMIT 1
    ) AS stored
   WHERE stored.sent_at > ${timestampOf('$4::bigint')}
),
fresh AS MATERIALIZED (
  SELECT sent.*, room.id AS recipient_id, online,
         newest_seq + row_number() OVER in_turn AS seq,
         row_number() OVER in_turn <= room AS fits
    FROM sent
    JOIN inbox ON username = recipient AND deleted_at IS NULL
    JOIN room ON room.id = inbox.id
   WHERE n NOT IN (SELECT n FROM known)
  WINDOW in_turn AS (PARTITION BY room.id ORDER BY n)
),
newest AS MATERIALIZED (
  SELECT recipient AS username, max(seq) AS seq FROM fresh WHERE fits GROUP BY recipient
),
message_added AS (
  INSERT INTO message (recipient_id, seq, id, sender_id, body, sent_at)
  SELECT recipient_id, seq, id, sender_id, body, sent_at FROM fresh WHERE fits
),
key_added AS (
  INSERT INTO idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)
  SELECT sender_id, key, fingerprint, id, sent_at, live OR online FROM fresh WHERE fits AND key IS NOT NULL
   ORDER BY sender_id, key
),
account_moved AS (
  UPDATE account
     SET newest_seq = moved.newest_seq, acknowledged_seq = moved.acknowledged_seq,
         last_seen_at = CASE WHEN last_seen_at > noted_at THEN at ELSE greatest(last_seen_at, at) END
    FROM (
      SELECT id, max(newest_seq) AS newest_seq, max(acknowledged_seq) AS acknowledged_seq,
             max(at) AS at, max(noted_at) AS noted_at
        FROM (SELECT id, newest_seq, acknowledged_seq, at, noted_at FROM inbox
               UNION ALL
              SELECT recipient_id, seq, NULL, NULL, NULL FROM fresh WHERE fits) AS _
       GROUP BY id
    ) AS moved
   WHERE account.id = moved.id AND account.id = ANY (ARRAY(SELECT id FROM touched))
),
hints AS MATERIALIZED (
  SELECT 'new ' || $6::text || string_agg(' ' || username || ' ' || seq, '') AS payload
    FROM (SELECT *, row_number() OVER () / ${HINTS_MAX} AS part FROM newest) AS numbered
   GROUP BY part
)
SELECT fresh.n IS NOT NULL AS fresh, fits, seq, fresh.live OR online AS live,
       known.n IS NOT NULL AS known, same, message_id, known.sent_at_ms, known.live AS was_live,
       (SELECT count(pg_notify($7, payload)) FROM hints) AS notified
  FROM sent LEFT JOIN fresh USING (n) LEFT JOIN known USING (n)
 ORDER BY sent.n`

interface OutcomeRow {
  fresh: boolean
  fits: boolean
  seq: number
  live: boolean
  known: boolean
  same: boolean
  message_id: Buffer
  sent_at_ms: number
  was_live: boolean
}

/** Keys that have expired and were not purged yet stand in the way of new ones. */
const FORGET_EXPIRED_KEYS = `
DELETE FROM idempotency_key AS stored
 USING json_to_recordset($1) AS sent ("senderId" int, key text)
 WHERE stored.sender_id = sent."senderId" AND stored.key = sent.key
   AND stored.sent_at <= ${timestampOf('$2::bigint')}`

/** Another node wrote the same idempotency key at the same time, or two batches waited for each other. */
const WORTH_ANOTHER_TRY = new Set(['23505', '40P01', '40001'])
const TRIES_MAX = 5

/**
 * The group commit on PostgreSQL.
 *
 * @param nodeId goes with every hint, because this node needs none of its own
 * @param channel where the hints go
 */
export function commitVerb(
  pool: pg.Pool,
  nodeId: string,
  channel: string,
  { inboxLimit }: StoreLimits,
): Pick<Database, 'commit'> {
  async function commit(batch: Batch): Promise<AppendOutcome[]> {
    const expiries = batch.appends.map(({ idempotency }) => idempotency?.expiredBeforeMs ?? 0)
    const expiredBeforeMs = Math.max(0, ...expiries)
    const sent = JSON.stringify(batch.appends.map(asSent))
    const values = [
      JSON.stringify(batch.acknowledgements),
      JSON.stringify(batch.sightings),
      sent,
      expiredBeforeMs,
      inboxLimit,
      nodeId,
      channel,
    ]
    for (let tries = 1; ; tries += 1) {
      try {
        const { rows } = await pool.query<OutcomeRow>({ name: 'commit', text: COMMIT, values })
        return rows.map(asOutcome)
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined
        if (!code || !WORTH_ANOTHER_TRY.has(code) || tries === TRIES_MAX) throw error
        await pool.query(FORGET_EXPIRED_KEYS, [sent, expiredBeforeMs])
      }
    }
  }

  return { commit }
}

const asSent = ({ senderId, to, id, body, sentAtMs, live, idempotency }: Append, n: number) => ({
  n,
  senderId,
  to,
  id,
  body,
  sentAtMs,
  live,
  ...(idempotency && {
    key: idempotency.key,
    fingerprint: Buffer.from(idempotency.fingerprint).toString('hex'),
  }),
})

function asOutcome(row: OutcomeRow): AppendOutcome {
  if (row.known) {
    if (!row.same) return { kind: 'idempotency_key_reused' }
    const id = bytesToUuid(row.message_id)
    return { kind: 'replayed', id, sentAtMs: row.sent_at_ms, live: row.was_live }
  }
  if (!row.fresh) return { kind: 'recipient_not_found' }
  return row.fits ? { kind: 'appended', seq: row.seq, live: row.live } : { kind: 'inbox_full' }
}
