import { type Message, newKey } from 'restante-client'
import {
  type ConversationRecord,
  markOf,
  type NewRow,
  type StoredReceivedRow,
  type StoredSentRow,
  type Transaction,
} from './tables.ts'

/** The server remembers a key for 24 hours. The hour is for clocks and for requests on their way. */
const KEY_LIFE_MS = 23 * 3_600_000

export const isKeyExpired = ({ keyAtMs }: StoredSentRow) => Date.now() - keyAtMs > KEY_LIFE_MS

/** The record of a conversation, made if there is none. */
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

/** A sign that is seen: no space, no control, no mark that sits on another sign, no filler. */
const SEEN = /[^\p{Z}\p{C}\p{M}\p{Default_Ignorable_Code_Point}\u2800]/u

/** What a display name is shown as. Without a sign that is seen it would hide who it is. */
export const nameToShow = (displayName: string, username: string) =>
  SEEN.test(displayName) ? displayName : username

/** The server has told the display name. */
export const nameConversation = (transaction: Transaction, username: string, displayName: string) =>
  changeConversation(transaction, username, { displayName: nameToShow(displayName, username), named: true })

/**
 * Messages and receipts of the inbox, in order. One that is here already changes nothing.
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

/** A message that is to be sent. Its text is no draft any more. */
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

/** The server has answered a send: with its id and time, or with the reason why not. */
export async function settle(
  transaction: Transaction,
  place: number,
  answer: { id: string; sentAt: string } | { code: string; detail: string },
) {
  const row = await transaction.row(place)
  if (row?.kind !== 'sent' || row.state !== 'waiting') return
  const { queued: _, ...rest } = row
  if ('id' in answer) {
    const { id, sentAt } = answer
    // The answer was lost, and the receipt came before that of the repeat.
    const state = (await transaction.hasReceipt(row.with, id)) ? 'delivered' : 'sent'
    await transaction.putRow({ ...rest, state, mark: markOf('sent', id), atMs: Date.parse(sentAt) })
  } else {
    const { code, detail } = answer
    await transaction.putRow({ ...rest, state: 'failed', failure: { code, detail } })
  }
  if ((await transaction.queued(row.with)).length === 0) await transaction.deleteReceipts(row.with)
}

/** A message that failed waits again. */
export async function requeue(transaction: Transaction, place: number) {
  const row = await transaction.row(place)
  if (row?.kind !== 'sent' || row.state !== 'failed') return
  const { failure, ...rest } = row
  const isKeyUsed = isKeyExpired(row) || failure?.code === 'idempotency_key_reused'
  const key = isKeyUsed ? { key: newKey(), keyAtMs: Date.now() } : {}
  await transaction.putRow({ ...rest, ...key, state: 'waiting', queued: row.with })
}

/** Takes out a message that failed. */
export async function discard(transaction: Transaction, place: number) {
  const row = await transaction.row(place)
  if (row?.kind === 'sent' && row.state === 'failed') await transaction.deleteRow(place)
}

/** All rows up to this one have been seen. */
export async function markRead(transaction: Transaction, username: string, place: number) {
  const record = await transaction.conversation(username)
  if (!record || (record.unread === 0 && record.readPlace >= place)) return
  const readPlace = Math.max(record.readPlace, place)
  const unread = (await unreadRows(transaction, { ...record, readPlace })).length
  await transaction.putConversation({ ...record, readPlace, unread })
}

/** The rows of a conversation that have not been seen. */
export async function unreadRows(
  transaction: Transaction,
  { username, readPlace }: ConversationRecord,
): Promise<StoredReceivedRow[]> {
  const rows = await transaction.rows(username, { from: readPlace + 1 })
  return rows.filter((row) => row.kind === 'received')
}
