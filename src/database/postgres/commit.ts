import pg from 'pg'
import type {
  AddedReceipt,
  Batch,
  CommitOutcome,
  CommitResult,
  Database,
  NewMessage,
  StoreLimits,
} from '../database.ts'
import { bytesToUuid, bytesToUuids } from '../uuid.ts'
import { COMMIT } from './commit-statement.ts'
import { timestampOf } from './fragments.ts'
import { WANTING } from './receipt-statement.ts'

interface CommonRow {
  /**
   * The same in all rows: whether no message was added because another node had appended to an inbox
   * meanwhile.
   */
  stale: boolean
}

interface OutcomeRow extends CommonRow {
  is_receipt: false
  /** Null when it was not appended. */
  seq: number | null
  live: boolean
  refusal: 'blocked' | 'inbox_full' | 'too_many_unread' | 'too_many_receipts' | 'undecided' | null
  known: boolean
  same: boolean
  message_id: Buffer
  sent_at_ms: number
  was_live: boolean
}

interface ReceiptRow extends CommonRow {
  is_receipt: true
  seq: number
  message_id: Buffer
  sent_at_ms: number
  owner: string
  reader: string
  receipt_for: Buffer
}

type Row = OutcomeRow | ReceiptRow

/** Expired keys that are not purged yet would conflict with new ones. */
const DELETE_EXPIRED_KEYS = `
DELETE FROM idempotency_key AS stored
 USING json_to_recordset($1) AS sent ("senderId" int, key text)
 WHERE stored.sender_id = sent."senderId" AND stored.key = sent.key
   AND stored.sent_at <= ${timestampOf('$2::bigint')}`

/** Locks the shared rows that a commit writes, in the same order as the commit. */
const LOCK = `
SELECT FROM account
 WHERE id = ANY (ARRAY(SELECT "accountId" FROM json_to_recordset($1) AS _ ("accountId" int)))
    OR username = ANY (ARRAY(SELECT username FROM json_to_recordset($2) AS _ (username text)
                              UNION SELECT "to" FROM json_to_recordset($3) AS _ ("to" text)))
    OR id = ANY (ARRAY(SELECT sender_id FROM (${WANTING}) AS wanting))
 ORDER BY id
   FOR NO KEY UPDATE`

/** Locked rows are skipped: the session is ending, or in use and will be recorded again. */
const NOTE_SESSIONS_LAST_SEEN = `
UPDATE session SET last_seen_at = ${timestampOf('"atMs"')}
  FROM json_to_recordset($1) AS _ ("sessionId" text, "atMs" bigint, "nowMs" bigint)
 WHERE id = "sessionId"
   AND id IN (SELECT id FROM session
               WHERE id = ANY (ARRAY(SELECT "sessionId" FROM json_to_recordset($1) AS _ ("sessionId" text)))
                 FOR NO KEY UPDATE SKIP LOCKED)
   AND (last_seen_at IS NULL OR last_seen_at < ${timestampOf('"atMs"')}
        OR last_seen_at > ${timestampOf('"nowMs"')})`

/** A concurrent write of the same idempotency key, a deadlock, or a serialization failure. */
const RETRYABLE = new Set(['23505', '40P01', '40001'])
const TRIES_MAX = 5

/**
 * Writes a batch in one transaction: the statement of commit-statement.ts, repeated when another node has
 * come in between.
 *
 * @param nodeId part of every notification: a node ignores its own
 * @param channel the channel of the notifications
 */
export function commitVerb(
  pool: pg.Pool,
  nodeId: string,
  channel: string,
  { inboxLimit, inboxBytes, senderLimit }: StoreLimits,
): Pick<Database, 'commit'> {
  async function commit(batch: Batch): Promise<CommitResult> {
    const expiries = batch.appends.map(({ idempotency }) => idempotency?.expiredBeforeMs ?? 0)
    const expiredBeforeMs = Math.max(0, ...expiries)
    const sent = JSON.stringify(batch.appends.map(toSent))
    const ofAccounts = batch.lastSeen.filter(({ sessionId }) => sessionId === undefined)
    const ofSessions = batch.lastSeen.filter(({ sessionId }) => sessionId !== undefined)
    if (ofSessions.length > 0) await pool.query(NOTE_SESSIONS_LAST_SEEN, [JSON.stringify(ofSessions)])
    const values = [
      JSON.stringify(batch.acknowledgements),
      JSON.stringify(ofAccounts),
      sent,
      expiredBeforeMs,
      inboxLimit,
      nodeId,
      channel,
      inboxBytes,
      senderLimit,
    ]
    const receipts: AddedReceipt[] = []
    for (let tries = 1; ; tries += 1) {
      try {
        const rows = tries === 1 ? await run(pool, values) : await runLocked(values)
        // Receipts are written with the acknowledgements, even when no message was.
        receipts.push(...rows.filter(isReceipt).map(toReceipt))
        // Never stale with the locks.
        if (!rows[0]?.stale) return { outcomes: rows.filter(isOutcome).map(toOutcome), receipts }
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined
        if (!code || !RETRYABLE.has(code) || tries === TRIES_MAX) throw error
        await pool.query(DELETE_EXPIRED_KEYS, [sent, expiredBeforeMs])
      }
    }
  }

  async function run(client: pg.Pool | pg.PoolClient, values: unknown[]): Promise<Row[]> {
    const { rows } = await client.query<Row>({ name: 'commit', text: COMMIT, values })
    return rows
  }

  /** With the locks first, the statement sees everything that was committed before it got them. */
  async function runLocked(values: unknown[]): Promise<Row[]> {
    const client = await pool.connect()
    let fault: Error | undefined
    try {
      await client.query('BEGIN')
      await client.query({ name: 'lock', text: LOCK, values: values.slice(0, 3) })
      const rows = await run(client, values)
      await client.query('COMMIT')
      return rows
    } catch (error) {
      await client.query('ROLLBACK').catch((failed: Error) => {
        fault = failed
      })
      throw error
    } finally {
      // A connection that cannot roll back is closed.
      client.release(fault)
    }
  }

  return { commit }
}

const toSent = (
  { senderId, to, id, body, sentAtMs, live, wantsReceipt, idempotency }: NewMessage,
  n: number,
) => ({
  n,
  senderId,
  to,
  id,
  body,
  sentAtMs,
  live,
  wantsReceipt,
  ...(idempotency && {
    key: idempotency.key,
    fingerprint: Buffer.from(idempotency.fingerprint).toString('hex'),
  }),
})

const isReceipt = (row: Row) => row.is_receipt
const isOutcome = (row: Row) => !row.is_receipt

const toReceipt = (row: ReceiptRow): AddedReceipt => ({
  to: row.owner,
  entry: {
    seq: row.seq,
    id: bytesToUuid(row.message_id),
    from: row.reader,
    body: '',
    sentAtMs: row.sent_at_ms,
    receiptFor: bytesToUuids(row.receipt_for),
  },
})

function toOutcome(row: OutcomeRow): CommitOutcome {
  if (row.known) {
    if (!row.same) return { kind: 'idempotency_key_reused' }
    const id = bytesToUuid(row.message_id)
    return { kind: 'replayed', id, sentAtMs: row.sent_at_ms, live: row.was_live }
  }
  if (row.refusal) return { kind: row.refusal }
  return row.seq === null
    ? { kind: 'recipient_not_found' }
    : { kind: 'appended', seq: row.seq, live: row.live }
}
