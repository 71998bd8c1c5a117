import { type Message, newKey } from 'restante-client'
import {
  type ConversationRecord,
  markOf,
  type NewRow,
  type StoredReceivedRow,
  type StoredSentRow,
  type Transaction,
} from './tables.ts'

/** The server remembers a key for 24 hours. The margin is for clock drift and requests under way. */
const KEY_LIFE_MS = 23 * 3_600_000

export const isKeyExpired = ({ keyAtMs }: StoredSentRow) => Date.now() - keyAtMs > KEY_LIFE_MS

/** Returns the record of a conversation, and creates it if there is none. */
export async function ensureConversation(
  transaction: Transaction,
  username: string,
): Promise<ConversationRecord> {
  const known = await transaction.conversation(username)
  if (known) return known
  const place = await transaction.newestPlace()
  const record = { username, displayName: username, unread: 0, readPlace: place, draft: '', place }
  await transaction.putConversation(record)
  return record
}

/** Does nothing when there is no such conversation. */
export async function changeConversation(
  transaction: Transaction,
  username: string,
  changes: Partial<ConversationRecord>,
) {
  const record = await transaction.conversation(username)
  if (record) await transaction.putConversation({ ...record, ...changes })
}

/** A visible character: no space, control, combining mark or filler. */
const VISIBLE = /[^\p{Z}\p{C}\p{M}\p{Default_Ignorable_Code_Point}\u2800]/u

/** The name to show. A display name without a visible character would hide the user. */
export const nameToShow = (displayName: string, username: string) =>
  VISIBLE.test(displayName) ? displayName : username

/** Stores the display name from the server. */
export const nameConversation = (transaction: Transaction, username: string, displayName: string) =>
  changeConversation(transaction, username, { displayName: nameToShow(displayName, username), named: true })

/**
 * Stores messages and receipts of the inbox, in order. Ignores those that are already stored.
 *
 * @returns the conversations that have changed
 */
export async function receive(transaction: Transaction, messages: Message[]): Promise<Set<string>> {
  const changed = new Set<string>()
  for (const message of messages) {
    if (message.receiptFor) await receiveReceipt(transaction, message.from, message.receiptFor, changed)
    else await receiveMessage(transaction, message, changed)
  }
  return changed
}

async function receiveMessage(
  transaction: Transaction,
  { id, from, body, sentAt }: Message,
  changed: Set<string>,
) {
  const mark = markOf('received', id)
  if (await transaction.rowByMark(mark)) return
  const record = await ensureConversation(transaction, from)
  await transaction.putConversation({ ...record, unread: record.unread + 1 })
  const row = { kind: 'received', with: from, id, mark, body, atMs: Date.parse(sentAt) } as const
  await transaction.addRow(row satisfies Omit<StoredReceivedRow, 'place'>)
  changed.add(from)
}

async function receiveReceipt(transaction: Transaction, from: string, ids: string[], changed: Set<string>) {
  for (const id of ids) {
    const row = await transaction.rowByMark(markOf('sent', id))
    if (row?.kind === 'sent') {
      await transaction.putRow({ ...row, state: 'delivered' })
      changed.add(row.with)
    } else if ((await transaction.queued(from)).length > 0) await transaction.addReceipt(from, id)
  }
}

/** Queues a message for sending, and clears the draft. */
export async function queue(transaction: Transaction, to: string, body: string) {
  const record = await ensureConversation(transaction, to)
  await transaction.putConversation({ ...record, draft: '' })
  const atMs = Date.now()
  const row: NewRow = {
    kind: 'sent',
    with: to,
    body,
    atMs,
    state: 'waiting',
    key: newKey(),
    keyAtMs: atMs,
    queued: to,
  }
  await transaction.addRow(row)
}

/** Stores the server's answer to a send: the ID and time, or the reason of the refusal. */
export async function applyAnswer(
  transaction: Transaction,
  place: number,
  answer: { id: string; sentAt: string } | { code: string; detail: string },
) {
  const row = await transaction.row(place)
  if (row?.kind !== 'sent' || row.state !== 'waiting') return
  const { queued: _, ...rest } = row
  if ('id' in answer) {
    const { id, sentAt } = answer
    // The receipt may come first, if the response was lost and the send is repeated.
    const state = (await transaction.hasReceipt(row.with, id)) ? 'delivered' : 'sent'
    await transaction.putRow({ ...rest, state, mark: markOf('sent', id), atMs: Date.parse(sentAt) })
  } else {
    const { code, detail } = answer
    await transaction.putRow({ ...rest, state: 'failed', failure: { code, detail } })
  }
  if ((await transaction.queued(row.with)).length === 0) await transaction.deleteReceipts(row.with)
}

/** Queues a failed message again. */
export async function requeue(transaction: Transaction, place: number) {
  const row = await transaction.row(place)
  if (row?.kind !== 'sent' || row.state !== 'failed') return
  const { failure, ...rest } = row
  const isKeyUsed = isKeyExpired(row) || failure?.code === 'idempotency_key_reused'
  const key = isKeyUsed ? { key: newKey(), keyAtMs: Date.now() } : {}
  await transaction.putRow({ ...rest, ...key, state: 'waiting', queued: row.with })
}

/** Deletes a failed message. */
export async function discard(transaction: Transaction, place: number) {
  const row = await transaction.row(place)
  if (row?.kind === 'sent' && row.state === 'failed') await transaction.deleteRow(place)
}

/** Marks all rows up to this one as read. */
export async function markRead(transaction: Transaction, username: string, place: number) {
  const record = await transaction.conversation(username)
  if (!record || (record.unread === 0 && record.readPlace >= place)) return
  const readPlace = Math.max(record.readPlace, place)
  const unread = (await unreadRows(transaction, { ...record, readPlace })).length
  await transaction.putConversation({ ...record, readPlace, unread })
}

/** The unread rows of a conversation. */
export async function unreadRows(
  transaction: Transaction,
  { username, readPlace }: ConversationRecord,
): Promise<StoredReceivedRow[]> {
  const rows = await transaction.rows(username, { from: readPlace + 1 })
  return rows.filter((row) => row.kind === 'received')
}
