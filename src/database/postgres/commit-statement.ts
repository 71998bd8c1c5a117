import { msOf, onlineElsewhere, timestampOf } from './fragments.ts'
import { RECEIPTS, WANTING } from './receipt-statement.ts'

/** A notification holds 8 000 bytes, and each recipient takes at most 50. */
const RECIPIENTS_PER_NOTIFICATION_MAX = 150

/**
 * A whole batch in one statement, and so in one transaction and one round trip.
 *
 * `touched` comes first: it locks all account rows that the batch writes, in id order, so batches queue but
 * never deadlock; under READ COMMITTED a batch that waited sees the updated counters
 * (postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED). Everything else is derived from it.
 * A row is written once: of two updates of one row in one statement one is lost.
 *
 * A session that has ended meanwhile acknowledges nothing, also not for its account. Receipts depend on how
 * far the locked account row moves, so only one of several nodes writes them. They are appended before the
 * messages of the batch, and the rows of their recipients are locked with the others.
 *
 * `receipt` gives each receipt the next seq of its inbox, and `placed` each message. `refused` says why
 * a message is refused, by a limit of the inbox for example.
 *
 * Rows are looked up by arrays of keys, or one by one (LATERAL), so that the plan uses the indexes even if
 * the tables were small when it was made.
 *
 * An inbox far from its limits is not counted. Near them, the first unread message shows how much text is
 * unread, and the messages of a sender are counted. The outcomes are those of appends one by one; only a
 * small message after one that did not fit is left undecided.
 *
 * Except for the rows it locks, this statement does not see what another node wrote while it waited. Where
 * that matters, it is repeated in a transaction that locks those rows first: if an idempotency key was
 * written meanwhile, the unique index stops it; if an inbox must be counted and another node has appended to
 * it, the result is stale, and no message is added. Acknowledgements and dates may be written twice.
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
wanting AS MATERIALIZED (${WANTING}),
sent AS MATERIALIZED (
  SELECT n, "senderId" AS sender_id, "to" AS recipient, uuid_send(id) AS id, body,
         octet_length(body) AS bytes, ${timestampOf('"sentAtMs"')} AS sent_at, live, key,
         decode(fingerprint, 'hex') AS fingerprint, "wantsReceipt" AS wants_receipt
    FROM json_to_recordset($3) AS _ (n int, "senderId" int, "to" text, id uuid, body text,
                                     "sentAtMs" bigint, live boolean, key text, fingerprint text,
                                     "wantsReceipt" boolean)
),
touched AS MATERIALIZED (
  SELECT id, username, deleted_at, hides_presence, newest_seq, acknowledged_seq, purged_seq, text_bytes,
         receipts
    FROM account
   WHERE id = ANY (ARRAY(SELECT "accountId" FROM acknowledged UNION SELECT sender_id FROM wanting))
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
furthest AS MATERIALIZED (SELECT "accountId" AS id, max(seq) AS seq FROM session_moved GROUP BY id),
receipt AS MATERIALIZED (${RECEIPTS}),
inbox AS MATERIALIZED (
  SELECT id, username, deleted_at, hides_presence, purged_seq, text_bytes, at, noted_at,
         coalesce(added, 0) AS added, newest_seq + coalesce(added, 0) AS newest_seq,
         receipts + coalesce(added, 0) AS receipts,
         greatest(acknowledged_seq, least(newest_seq, coalesce(furthest.seq, 0))) AS acknowledged_seq,
         ${onlineElsewhere('touched.id', '$6::text')} AS online
    FROM touched
    LEFT JOIN furthest USING (id)
    LEFT JOIN (SELECT owner_id AS id, count(*) AS added FROM receipt GROUP BY owner_id) AS given USING (id)
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
  SELECT sent.*, inbox.id AS recipient_id, NOT inbox.hides_presence AND (live OR inbox.online) AS is_live,
         EXISTS (SELECT FROM block WHERE account_id = inbox.id AND blocked_id = sender_id) AS blocked,
         CASE WHEN wants_receipt THEN (
           SELECT given - coalesce((SELECT receipts_before FROM message
                                     WHERE recipient_id = sender.id AND seq > read ORDER BY seq LIMIT 1
                                   ), given - coalesce(own.added, 0)) >= $5
             FROM account AS sender
            CROSS JOIN LATERAL (
              SELECT coalesce(own.receipts, sender.receipts) AS given,
                     greatest(own.acknowledged_seq, sender.acknowledged_seq, sender.purged_seq) AS read
            ) AS known
            WHERE sender.id = sender_id
         ) ELSE false END AS overdrawn
    FROM sent JOIN inbox ON inbox.username = recipient AND inbox.deleted_at IS NULL
    LEFT JOIN inbox AS own ON own.id = sender_id AND wants_receipt
   WHERE n NOT IN (SELECT n FROM known)
),
room AS MATERIALIZED (
  SELECT inbox.id, newest_seq, text_bytes, receipts, read, unread,
         $5 - unread AS places, $8 - unread_bytes AS bytes_left,
         unread + wanted > $9 AS crowded,
         CASE WHEN unread + wanted > least($5, $9) OR unread_bytes + bytes_wanted > $8
                OR near AND entries > 0 AND bytes_before IS NULL
              THEN newest_seq - added <> (SELECT newest_seq FROM account WHERE account.id = inbox.id)
          END AS stale
    FROM inbox
    JOIN (SELECT recipient_id, count(*) AS wanted, sum(bytes) AS bytes_wanted FROM asked GROUP BY recipient_id
         ) AS demand ON recipient_id = inbox.id
   CROSS JOIN LATERAL (SELECT greatest(acknowledged_seq, purged_seq) AS read) AS reading
   CROSS JOIN LATERAL (
     SELECT newest_seq - read - coalesce(sum(to_seq - greatest(from_seq - 1, read)), 0)::bigint AS entries
       FROM restored_range WHERE account_id = inbox.id AND to_seq > read
   ) AS counting
   CROSS JOIN LATERAL (
     SELECT text_bytes + bytes_wanted > $8 OR receipts > 0 AND entries + wanted > least($5, $9) AS near
   ) AS nearing
    LEFT JOIN LATERAL (
     SELECT bytes_before, receipts_before FROM message
      WHERE near AND recipient_id = inbox.id AND seq > read ORDER BY seq LIMIT 1
   ) AS first_unread ON true
   CROSS JOIN LATERAL (
     SELECT CASE WHEN near THEN text_bytes - coalesce(bytes_before, text_bytes) ELSE text_bytes
             END AS unread_bytes,
            CASE WHEN near THEN entries - receipts + coalesce(receipts_before, receipts - added) ELSE entries
             END AS unread
   ) AS measuring
),
by_sender AS MATERIALIZED (
  SELECT room.id AS recipient_id, sender_id, messages
    FROM room JOIN (SELECT DISTINCT recipient_id, sender_id FROM asked) AS pair ON recipient_id = room.id
   CROSS JOIN LATERAL (
     SELECT count(*) AS messages
       FROM (SELECT FROM message
              WHERE recipient_id = room.id AND sender_id = pair.sender_id AND seq > read
                AND receipt_for IS NULL
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
          SELECT asked.*, newest_seq, text_bytes, receipts, unread, places, bytes_left,
                 NOT blocked AND NOT overdrawn AND coalesce(messages, 0)
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
                 WHEN overdrawn THEN 'too_many_receipts'
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
  SELECT username, max(seq) AS seq
    FROM (SELECT recipient AS username, seq FROM placed WHERE fits
           UNION ALL SELECT owner, seq FROM receipt) AS _
   GROUP BY username
),
message_added AS (
  INSERT INTO message (recipient_id, seq, id, sender_id, sent_at, bytes_before, receipts_before,
                       wants_receipt, body)
  SELECT recipient_id, seq, id, sender_id, sent_at, bytes_before, receipts, wants_receipt, body
    FROM placed WHERE fits
),
receipt_added AS (
  INSERT INTO message (recipient_id, seq, id, sender_id, sent_at, bytes_before, receipts_before,
                       receipt_for, body)
  SELECT owner_id, seq, id, reader_id, ${timestampOf('at_ms')}, text_bytes, receipts_before, receipt_for, ''
    FROM receipt
),
key_added AS (
  INSERT INTO idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)
  SELECT sender_id, key, fingerprint, id, sent_at, is_live FROM placed WHERE fits AND key IS NOT NULL
   ORDER BY sender_id, key
),
account_moved AS (
  UPDATE account
     SET newest_seq = moved.newest_seq, acknowledged_seq = moved.acknowledged_seq,
         text_bytes = moved.text_bytes, receipts = moved.receipts,
         last_seen_at = CASE WHEN last_seen_at > noted_at THEN at ELSE greatest(last_seen_at, at) END
    FROM (
      SELECT id, max(newest_seq) AS newest_seq, max(acknowledged_seq) AS acknowledged_seq,
             max(text_bytes) AS text_bytes, max(receipts) AS receipts, max(at) AS at,
             max(noted_at) AS noted_at
        FROM (SELECT id, newest_seq, acknowledged_seq, text_bytes, receipts, at, noted_at FROM inbox
               UNION ALL
              SELECT recipient_id, seq, NULL, bytes_before + bytes, NULL, NULL, NULL FROM placed WHERE fits
             ) AS _
       GROUP BY id
    ) AS moved
   WHERE account.id = moved.id AND account.id = ANY (ARRAY(SELECT id FROM touched))
),
notifications AS MATERIALIZED (
  SELECT 'new ' || $6::text || string_agg(' ' || username || ' ' || seq, '') AS payload
    FROM (SELECT *, row_number() OVER () / ${RECIPIENTS_PER_NOTIFICATION_MAX} AS part FROM newest) AS numbered
   GROUP BY part
)
SELECT *, (SELECT count(pg_notify($7, payload)) FROM notifications) AS notified,
       EXISTS (SELECT FROM room WHERE stale) AS stale
  FROM (
    SELECT false AS is_receipt, sent.n, CASE WHEN fits THEN seq END AS seq, is_live AS live,
           refusal, known.n IS NOT NULL AS known, same, message_id, known.sent_at_ms, known.live AS was_live,
           NULL AS owner, NULL AS reader, NULL::bytea AS receipt_for
      FROM sent LEFT JOIN placed USING (n) LEFT JOIN refused USING (n) LEFT JOIN known USING (n)
     UNION ALL
    SELECT true, NULL, seq, NULL, NULL, NULL, NULL, id, at_ms, NULL, owner, reader, receipt_for FROM receipt
  ) AS outcome
 ORDER BY is_receipt, n, seq`
