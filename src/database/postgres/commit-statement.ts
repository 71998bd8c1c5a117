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
 * An inbox that is far from its limits is not counted. Elsewhere the first unread message tells how much
 * text is unread, and the messages of a sender are counted. The outcomes are those of appends that come one
 * by one. Only a small message behind one for which there was no room is left undecided.
 *
 * What another node wrote while this statement waited is not seen by it, but for the rows that it locks.
 * Where it must know, it is tried again by a transaction that locks those rows first: where an idempotency
 * key was written meanwhile, the unique index stops it; where an inbox must be counted that another node has
 * added to, it is stale, and adds no message. Acknowledgements and sightings may be written twice.
 */
export const COMMIT = `
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
         octet_length(body) AS bytes, ${timestampOf('"sentAtMs"')} AS sent_at, live, key,
         decode(fingerprint, 'hex') AS fingerprint
    FROM json_to_recordset($3) AS _ (n int, "senderId" int, "to" text, id uuid, body text,
                                     "sentAtMs" bigint, live boolean, key text, fingerprint text)
),
touched AS MATERIALIZED (
  SELECT id, username, deleted_at, hides_presence, newest_seq, acknowledged_seq, purged_seq, text_bytes
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
  SELECT id, username, deleted_at, hides_presence, newest_seq, purged_seq, text_bytes, at, noted_at,
         greatest(acknowledged_seq, least(newest_seq, coalesce(furthest.seq, 0))) AS acknowledged_seq,
         ${onlineElsewhere('touched.id', '$6::text')} AS online
    FROM touched
    LEFT JOIN (SELECT "accountId" AS id, max(seq) AS seq FROM session_moved GROUP BY id) AS furthest USING (id)
    LEFT JOIN seen USING (username)
),
known AS MATERIALIZED (
  SELECT n, stored.fingerprint = sent.fingerprint AS same, stored.message_id,
         ${msOf('stored.sent_at')} AS sent_at_ms, stored.live
    FROM sent CROSS JOIN LATERAL (
      SELECT * FROM idempotency_key WHERE sender_id = sent.sender_id AND key = sent.key LIMIT 1
    ) AS stored
   WHERE stored.sent_at > ${timestampOf('$4::bigint')}
),
asked AS MATERIALIZED (
  SELECT sent.*, inbox.id AS recipient_id, NOT hides_presence AND (live OR online) AS is_live,
         EXISTS (SELECT FROM block WHERE account_id = inbox.id AND blocked_id = sender_id) AS blocked
    FROM sent JOIN inbox ON username = recipient AND deleted_at IS NULL
   WHERE n NOT IN (SELECT n FROM known)
),
room AS MATERIALIZED (
  SELECT inbox.id, newest_seq, text_bytes, read, unread,
         $5 - unread AS places, $8 - unread_bytes AS bytes_left,
         unread + wanted > $9 AS crowded,
         CASE WHEN unread + wanted > least($5, $9) OR unread_bytes + bytes_wanted > $8
                OR unread > 0 AND unread_from IS NULL
              THEN newest_seq <> (SELECT newest_seq FROM account WHERE account.id = inbox.id) END AS stale
    FROM inbox
    JOIN (SELECT recipient_id, count(*) AS wanted, sum(bytes) AS bytes_wanted FROM asked GROUP BY recipient_id
         ) AS demand ON recipient_id = inbox.id
   CROSS JOIN LATERAL (SELECT greatest(acknowledged_seq, purged_seq) AS read) AS reading
   CROSS JOIN LATERAL (
     SELECT newest_seq - read - coalesce(sum(to_seq - greatest(from_seq - 1, read)), 0)::bigint AS unread
       FROM restored_range WHERE account_id = inbox.id AND to_seq > read
   ) AS counting
   CROSS JOIN LATERAL (
     SELECT CASE WHEN text_bytes + bytes_wanted <= $8 THEN 0 ELSE (
              SELECT bytes_before FROM message
               WHERE recipient_id = inbox.id AND seq > read ORDER BY seq LIMIT 1
            ) END AS unread_from
   ) AS searching
   CROSS JOIN LATERAL (SELECT text_bytes - coalesce(unread_from, text_bytes) AS unread_bytes) AS measuring
),
by_sender AS MATERIALIZED (
  SELECT room.id AS recipient_id, sender_id, messages
    FROM room JOIN (SELECT DISTINCT recipient_id, sender_id FROM asked) AS pair ON recipient_id = room.id
   CROSS JOIN LATERAL (
     SELECT count(*) AS messages
       FROM (SELECT FROM message
              WHERE recipient_id = room.id AND sender_id = pair.sender_id AND seq > read AND seq > 0
              LIMIT $9) AS _
   ) AS counted
   WHERE crowded
),
placed AS MATERIALIZED (
  SELECT *, newest_seq + place AS seq, text_bytes + bytes_up_to - bytes AS bytes_before,
         allowed AND place <= places AND (bytes_up_to <= bytes_left OR place = 1 AND unread = 0) AS fits
    FROM (
      SELECT *, count(*) FILTER (WHERE allowed) OVER in_turn AS place,
             sum(bytes) FILTER (WHERE allowed) OVER in_turn AS bytes_up_to
        FROM (
          SELECT asked.*, newest_seq, text_bytes, unread, places, bytes_left,
                 NOT blocked AND coalesce(messages, 0)
                   + row_number() OVER (PARTITION BY recipient_id, sender_id ORDER BY n) <= $9
                   AND NOT EXISTS (SELECT FROM room WHERE stale) AS allowed
            FROM asked
            JOIN room ON room.id = recipient_id
            LEFT JOIN by_sender USING (recipient_id, sender_id)
        ) AS _
      WINDOW in_turn AS (PARTITION BY recipient_id ORDER BY n)
    ) AS _
),
refused AS MATERIALIZED (
  SELECT n, CASE WHEN blocked THEN 'blocked'
                 WHEN places <= taken OR bytes > bytes_left - bytes_taken AND unread + taken > 0
                 THEN 'inbox_full'
                 WHEN undecided THEN 'undecided' ELSE 'too_many_unread' END AS refusal
    FROM (
      SELECT *, count(*) FILTER (WHERE fits) OVER so_far AS taken,
             coalesce(sum(bytes) FILTER (WHERE fits) OVER so_far, 0) AS bytes_taken,
             bool_or(allowed AND NOT fits) OVER so_far AS undecided
        FROM placed
       WHERE EXISTS (SELECT FROM placed WHERE NOT fits)
      WINDOW so_far AS (PARTITION BY recipient_id ORDER BY n)
    ) AS _
   WHERE NOT fits
),
newest AS MATERIALIZED (
  SELECT recipient AS username, max(seq) AS seq FROM placed WHERE fits GROUP BY recipient
),
message_added AS (
  INSERT INTO message (recipient_id, seq, id, sender_id, body, sent_at, bytes_before)
  SELECT recipient_id, seq, id, sender_id, body, sent_at, bytes_before FROM placed WHERE fits
),
key_added AS (
  INSERT INTO idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)
  SELECT sender_id, key, fingerprint, id, sent_at, is_live FROM placed WHERE fits AND key IS NOT NULL
   ORDER BY sender_id, key
),
account_moved AS (
  UPDATE account
     SET newest_seq = moved.newest_seq, acknowledged_seq = moved.acknowledged_seq,
         text_bytes = moved.text_bytes,
         last_seen_at = CASE WHEN last_seen_at > noted_at THEN at ELSE greatest(last_seen_at, at) END
    FROM (
      SELECT id, max(newest_seq) AS newest_seq, max(acknowledged_seq) AS acknowledged_seq,
             max(text_bytes) AS text_bytes, max(at) AS at, max(noted_at) AS noted_at
        FROM (SELECT id, newest_seq, acknowledged_seq, text_bytes, at, noted_at FROM inbox
               UNION ALL
              SELECT recipient_id, seq, NULL, bytes_before + bytes, NULL, NULL FROM placed WHERE fits) AS _
       GROUP BY id
    ) AS moved
   WHERE account.id = moved.id AND account.id = ANY (ARRAY(SELECT id FROM touched))
),
hints AS MATERIALIZED (
  SELECT 'new ' || $6::text || string_agg(' ' || username || ' ' || seq, '') AS payload
    FROM (SELECT *, row_number() OVER () / ${HINTS_MAX} AS part FROM newest) AS numbered
   GROUP BY part
)
SELECT CASE WHEN fits THEN seq END AS seq, is_live AS live, refusal,
       known.n IS NOT NULL AS known, same, message_id, known.sent_at_ms, known.live AS was_live,
       (SELECT count(pg_notify($7, payload)) FROM hints) AS notified,
       EXISTS (SELECT FROM room WHERE stale) AS stale
  FROM sent LEFT JOIN placed USING (n) LEFT JOIN refused USING (n) LEFT JOIN known USING (n)
 ORDER BY sent.n`
