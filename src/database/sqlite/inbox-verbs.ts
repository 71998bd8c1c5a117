import type SqliteFile from 'better-sqlite3'
import { stringify as bytesToUuid } from 'uuid'
import {
  type Acknowledgement,
  type Append,
  type AppendOutcome,
  type Batch,
  type Database,
  type MessageRecord,
  messageOf,
  PAGE_BYTES_MAX,
  type Page,
  pageOf,
  type ReadFrom,
  type Sighting,
  type StoreLimits,
  seqOf,
} from '../database.ts'
import { entriesWhere, type InboxIndex, NEWEST_SEQ } from './inbox-index.ts'
import type { Recipient, Recipients } from './recipients.ts'

interface Counters {
  newest: number
  acknowledged: number
  purged: number
}

interface StoredKey {
  id: number
  fingerprint: Buffer
  messageId: Buffer
  sentAt: number
  live: number
}

/** Rows read in one step, so that long messages do not fill the memory. */
const ROWS_AT_ONCE = 250

type InboxVerbs = Pick<Database, 'commit' | 'readInbox' | 'findMessage'>

/**
 * The inbox in SQLite. Every verb is one synchronous run of prepared statements, so that nothing can come
 * between its statements; through the ORM a row costs about 20 times as much (500 rows: 23 ms against 1.1
 * ms).
 */
export function inboxVerbs(
  connection: SqliteFile.Database,
  index: InboxIndex,
  recipients: Recipients,
  { inboxLimit, idempotencyTtlMs }: StoreLimits,
): InboxVerbs {
  const acknowledgeSession = connection.prepare<Acknowledgement>(
    'UPDATE session SET acknowledged_seq = @seq WHERE id = @sessionId AND acknowledged_seq < @seq',
  )
  const acknowledgeAccount = connection.prepare<Acknowledgement>(
    `UPDATE account SET acknowledged_seq = min(@seq, ${NEWEST_SEQ})
      WHERE id = @accountId AND acknowledged_seq < @seq`,
  )
  const see = connection.prepare<Sighting>(
    `UPDATE account SET last_seen_at = @atMs
      WHERE username = @username AND coalesce(last_seen_at, 0) < @atMs`,
  )
  const findKey = connection.prepare<[senderId: number, key: string], StoredKey>(
    `SELECT id, fingerprint, message_id AS messageId, sent_at AS sentAt, live
       FROM idempotency_key WHERE sender_id = ? AND key = ?`,
  )
  const deleteKey = connection.prepare<[id: number]>('DELETE FROM idempotency_key WHERE id = ?')
  const insertKey = connection.prepare<
    [
      senderId: number,
      key: string,
      fingerprint: Uint8Array,
      messageId: Uint8Array,
      sentAt: number,
      live: number,
    ]
  >(
    `INSERT INTO idempotency_key (sender_id, key, fingerprint, message_id, sent_at, live)
     VALUES (?, ?, ?, ?, ?, ?)`,
  )
  const insertMessage = connection.prepare<
    [
      position: number,
      recipientId: number,
      seq: number,
      id: Uint8Array,
      senderId: number,
      json: string,
      sentAt: number,
    ]
  >(
    `INSERT INTO message (position, recipient_id, seq, id, sender_id, json, sent_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )

  const commit = connection.transaction((batch: Batch): AppendOutcome[] => {
    for (const acknowledgement of batch.acknowledgements) {
      acknowledgeSession.run(acknowledgement)
      acknowledgeAccount.run(acknowledgement)
    }
    for (const sighting of batch.sightings) see.run(sighting)

    index.merge()
    return batch.appends.map(appendOne)
  })

  /** Appends inside the batch's transaction; a key of an earlier append of the same batch is seen too. */
  function appendOne(append: Append): AppendOutcome {
    const { senderId, to, sentAtMs, live, idempotency } = append
    const known = idempotency && findKey.get(senderId, idempotency.key)
    if (known && known.sentAt > sentAtMs - idempotencyTtlMs) {
      if (!known.fingerprint.equals(idempotency.fingerprint)) return { kind: 'idempotency_key_reused' }
      return {
        kind: 'replayed',
        id: bytesToUuid(known.messageId),
        sentAtMs: known.sentAt,
        live: known.live === 1,
      }
    }

    let recipient = recipients.find(to)
    if (recipient && isFull(recipient)) recipient = recipients.lookAgain(to)
    if (!recipient) return { kind: 'recipient_not_found' }
    if (isFull(recipient)) return { kind: 'inbox_full' }

    recipient.newest += 1
    const id = uuidToBytes(append.id)
    const position = index.nextPosition()
    const json = JSON.stringify(messageOf(append, recipient.newest))
    insertMessage.run(position, recipient.id, recipient.newest, id, senderId, json, sentAtMs)
    index.add(recipient.id, recipient.newest, position)
    if (idempotency) {
      if (known) deleteKey.run(known.id)
      insertKey.run(senderId, idempotency.key, idempotency.fingerprint, id, sentAtMs, live ? 1 : 0)
    }
    return { kind: 'appended', seq: recipient.newest, live }
  }

  const isFull = ({ newest, read }: Recipient) => newest - read >= inboxLimit

  function commitAll(batch: Batch): AppendOutcome[] {
    try {
      // Immediate: a transaction that reads first and writes later cannot wait for a lock
      // (sqlite.org/isolation.html).
      return commit.immediate(batch)
    } catch (error) {
      recipients.forget()
      throw error
    }
  }

  const countersOf = connection.prepare<[accountId: number], Counters>(
    `SELECT ${NEWEST_SEQ} AS newest, acknowledged_seq AS acknowledged, purged_seq AS purged
       FROM account WHERE id = ?`,
  )
  const acknowledgedBy = connection
    .prepare<[sessionId: string], number>('SELECT acknowledged_seq FROM session WHERE id = ?')
    .pluck()
  // `+ 0`: where the limit is a bare parameter, SQLite plans the statement anew for each value that is bound,
  // three quarters of the time of a read of one message (sqlite3ExprIsInteger in sqlite3.c).
  const rowsAfter = connection
    .prepare<{ accountId: number; after: number; limit: number }, string>(
      `SELECT json
         FROM (${entriesWhere('seq > @after')} ORDER BY seq LIMIT @limit + 0) AS entry
         JOIN message USING (position) ORDER BY entry.seq`,
    )
    .pluck()

  const readInbox = connection.transaction((accountId: number, from: ReadFrom, limit: number): Page => {
    const counters = countersOf.get(accountId)
    if (!counters) throw new Error(`There is no account ${accountId}.`)
    const after = startOf(from, counters.acknowledged)
    return {
      after,
      messages: pageOf(messagesBehind(accountId, after, limit)),
      newestSeq: counters.newest,
      purgedSeq: counters.purged,
    }
  })

  function startOf(from: ReadFrom, acknowledged: number): number {
    if (typeof from === 'number') return from
    return from === 'acknowledged'
      ? acknowledged
      : Math.max(from.atLeast, acknowledgedBy.get(from.sessionId) ?? 0)
  }

  /** At most `limit`, and what goes beyond a page by one step at the most. */
  function messagesBehind(accountId: number, after: number, limit: number): string[] {
    const messages: string[] = []
    let [from, characters] = [after, 0]
    while (messages.length < limit && characters <= PAGE_BYTES_MAX) {
      const wanted = Math.min(limit - messages.length, ROWS_AT_ONCE)
      const rows = rowsAfter.all({ accountId, after: from, limit: wanted })
      for (const row of rows) {
        messages.push(row)
        characters += row.length
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < wanted) break
      from = seqOf(last)
    }
    return messages
  }

  const messageById = connection.prepare<
    [id: Uint8Array],
    { from: string; to: string; sentAt: number; acknowledged: number }
  >(
    `SELECT sender.username AS "from", recipient.username AS "to", sent_at AS sentAt,
            seq <= recipient.acknowledged_seq AS acknowledged
       FROM message
       JOIN account AS sender ON sender.id = sender_id
       JOIN account AS recipient ON recipient.id = recipient_id
      WHERE message.id = ? AND recipient.deleted_at IS NULL`,
  )

  function findMessage(messageId: string): MessageRecord | undefined {
    const row = messageById.get(uuidToBytes(messageId))
    return (
      row && {
        id: messageId.toLowerCase(),
        from: row.from,
        to: row.to,
        sentAtMs: row.sentAt,
        acknowledged: row.acknowledged === 1,
      }
    )
  }

  return {
    commit: async (batch) => commitAll(batch),
    readInbox: async (accountId, after, limit) => readInbox(accountId, after, limit),
    findMessage: async (messageId) => findMessage(messageId),
  }
}

/** Of what is known to be a UUID: the library looks first whether it is, a tenth of the time of a row. */
const uuidToBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex')
