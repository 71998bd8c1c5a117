import { RECEIPT_MESSAGES_MAX } from '../database.ts'

/**
 * Messages that `$1` may acknowledge and whose senders want receipts. Uses the counters from before the lock,
 * so it may find too many; `RECEIPTS` filters them.
 */
export const WANTING = `
SELECT account.id AS reader_id, username AS reader, at_ms, message.seq, message.id, sender_id
  FROM (SELECT "accountId" AS id, max(seq) AS up_to, max("atMs") AS at_ms
          FROM json_to_recordset($1) AS _ ("accountId" int, seq bigint, "atMs" bigint)
         GROUP BY id) AS furthest
 CROSS JOIN LATERAL (SELECT * FROM account WHERE account.id = furthest.id LIMIT 1) AS account
 CROSS JOIN LATERAL (
   SELECT seq, id, sender_id FROM message
    WHERE recipient_id = account.id AND wants_receipt
      AND seq > greatest(acknowledged_seq, purged_seq) AND seq <= up_to ORDER BY seq
 ) AS message`

/** A UUIDv7 as 16 bytes: 48 bits of time, then those of a random version 4. */
const uuidv7 = (ms: string) => `
  set_byte(bytes, 6, 112 | (get_byte(bytes, 6) & 15))
     FROM (SELECT substring(int8send(${ms}) FROM 3)
               || substring(uuid_send(gen_random_uuid()) FROM 7) AS bytes) AS _`

/**
 * The receipts of a commit. `wanting` are the above, `touched` the accounts as they were locked, and
 * `furthest` tells how far each of them moves.
 */
export const RECEIPTS = `
SELECT *, (SELECT ${uuidv7('at_ms')}) AS id, newest_seq + place AS seq,
       receipts + place - 1 AS receipts_before
  FROM (
    SELECT *, row_number() OVER (PARTITION BY owner_id ORDER BY reader_id, part) AS place
      FROM (
        SELECT owner.id AS owner_id, owner.username AS owner, owner.newest_seq, owner.receipts,
               owner.text_bytes, reader_id, reader, at_ms, part,
               string_agg(numbered.id, ''::bytea ORDER BY numbered.seq) AS receipt_for
          FROM (
            SELECT wanting.*, (row_number() OVER by_seq - 1) / ${RECEIPT_MESSAGES_MAX} AS part
              FROM wanting
              JOIN touched AS reading ON reading.id = reader_id
              JOIN furthest ON furthest.id = reader_id
             WHERE wanting.seq > greatest(acknowledged_seq, purged_seq) AND wanting.seq <= furthest.seq
            WINDOW by_seq AS (PARTITION BY reader_id, sender_id ORDER BY wanting.seq)
          ) AS numbered
          JOIN touched AS owner ON owner.id = sender_id AND owner.deleted_at IS NULL
         WHERE NOT EXISTS (SELECT FROM block WHERE account_id = sender_id AND blocked_id = reader_id)
           AND NOT EXISTS (SELECT FROM block WHERE account_id = reader_id AND blocked_id = sender_id)
         GROUP BY owner.id, owner.username, owner.newest_seq, owner.receipts, owner.text_bytes,
                  reader_id, reader, at_ms, part
      ) AS _
  ) AS _`
