import pg from 'pg'
import { bytesToUuid, bytesToUuids } from '../../src/database/uuid.ts'
import type { StoredInbox } from './history.ts'

interface AccountRow {
  id: number
  username: string
  newest_seq: string
  acknowledged_seq: string
}

interface MessageRow {
  recipient_id: number
  seq: string
  id: Buffer
  from: string
  body: string
  receipt_for: Buffer | null
}

interface KeyRow {
  sender_id: number
  key: string
  message_id: Buffer
}

/** Everything in the database, read directly. */
export async function readStored(databaseUrl: string): Promise<StoredInbox[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const accounts = await client.query<AccountRow>(
      'SELECT id, username, newest_seq, acknowledged_seq FROM account',
    )
    const messages = await client.query<MessageRow>(
      `SELECT recipient_id, seq, message.id, username AS "from", body, receipt_for
         FROM message JOIN account ON account.id = sender_id ORDER BY recipient_id, seq`,
    )
    const keys = await client.query<KeyRow>('SELECT sender_id, key, message_id FROM idempotency_key')
    return accounts.rows.map(({ id: accountId, username, newest_seq, acknowledged_seq }) => ({
      account: username,
      newestSeq: Number(newest_seq),
      acknowledgedSeq: Number(acknowledged_seq),
      messages: messages.rows
        .filter((row) => row.recipient_id === accountId)
        .map(({ seq, id, from, body, receipt_for: ids }) => ({
          ...{ seq: Number(seq), id: bytesToUuid(id), from, body },
          ...(ids && { receiptFor: bytesToUuids(ids) }),
        })),
      keys: keys.rows
        .filter((row) => row.sender_id === accountId)
        .map(({ key, message_id }) => ({ key, messageId: bytesToUuid(message_id) })),
    }))
  } finally {
    await client.end()
  }
}

/** The entries that are still to be received. */
export interface Outstanding {
  /** The newest number of the inbox. */
  newestSeq: number
  /** Whether an acknowledgement by this account would bring others a receipt. */
  owesReceipts: boolean
}

/** For every account. */
export async function readOutstanding(databaseUrl: string): Promise<Map<string, Outstanding>> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ username: string; newest: string; owes: boolean }>(
      `SELECT username, newest_seq AS newest,
              EXISTS (SELECT FROM message
                       WHERE recipient_id = account.id AND wants_receipt AND seq > acknowledged_seq) AS owes
         FROM account`,
    )
    return new Map(
      rows.map(({ username, newest, owes }) => [username, { newestSeq: Number(newest), owesReceipts: owes }]),
    )
  } finally {
    await client.end()
  }
}
