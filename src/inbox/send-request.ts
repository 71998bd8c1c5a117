import { createHash } from 'node:crypto'
import type { AppendOutcome, Entry, NewMessage } from '../database/database.ts'
import { messageId } from '../message-id.ts'
import { Problem } from '../problems.ts'

export interface SendRequest {
  sender: { accountId: number; username: string }
  to: string
  body: string
  /** Whether the sender gets a receipt when it is acknowledged; false when it is left out. */
  wantsReceipt?: boolean | undefined
  idempotencyKey: string | undefined
}

/** The result of an accepted send. */
export interface Sent {
  id: string
  sentAtMs: number
  live: boolean
  /** Whether this repeats the result of an earlier send with the same idempotency key. */
  replayed: boolean
}

/**
 * Turns a request into the message to append.
 *
 * @param keysBeforeMs gives the latest date with which idempotency keys have expired
 * @param live whether the recipient is online
 */
export function toNewMessage(
  { sender, to, body, wantsReceipt = false, idempotencyKey: key }: SendRequest,
  sentAtMs: number,
  keysBeforeMs: () => number,
  live: boolean,
): NewMessage {
  const idempotency =
    key === undefined
      ? undefined
      : { key, fingerprint: fingerprint(to, body, wantsReceipt), expiredBeforeMs: keysBeforeMs() }
  const { accountId: senderId, username: from } = sender
  return { senderId, from, to, id: messageId(sentAtMs), body, sentAtMs, live, wantsReceipt, idempotency }
}

/** A message as its recipient gets it. */
export const toEntry = ({ id, from, body, sentAtMs }: NewMessage, seq: number): Entry => ({
  seq,
  id,
  from,
  body,
  sentAtMs,
})

/**
 * Turns the outcome of an append into the result for its sender.
 *
 * @throws Problem recipient_not_found, blocked, inbox_full, too_many_unread, idempotency_key_reused
 */
export function toSent({ id, to, sentAtMs }: NewMessage, outcome: AppendOutcome): Sent {
  switch (outcome.kind) {
    case 'appended':
      return { id, sentAtMs, live: outcome.live, replayed: false }
    case 'replayed':
      return { id: outcome.id, sentAtMs: outcome.sentAtMs, live: outcome.live, replayed: true }
    case 'recipient_not_found':
      throw new Problem('recipient_not_found', `There is no user ${to}.`)
    case 'blocked':
      throw new Problem('blocked', `${to} does not accept messages from this account.`)
    case 'too_many_unread':
      throw new Problem(
        'too_many_unread',
        `The inbox of ${to} accepts no more messages from this account until its owner has acknowledged some.`,
      )
    case 'inbox_full':
      throw new Problem(
        'inbox_full',
        `The inbox of ${to} accepts no more messages until its owner has acknowledged some.`,
      )
    case 'too_many_receipts':
      throw new Problem(
        'inbox_full',
        'Your own inbox is full of unread receipts. Acknowledge some, or send without `receipt`.',
      )
    case 'idempotency_key_reused':
      throw new Problem(
        'idempotency_key_reused',
        'This Idempotency-Key was used with another recipient, body or receipt. Use a new key for a new message.',
      )
  }
}

/** Identifies a request: two are the same when recipient, body and `receipt` are. No body contains NUL. */
const fingerprint = (to: string, body: string, wantsReceipt: boolean) =>
  createHash('sha256')
    .update(wantsReceipt ? `${to}\0${body}\0receipt` : `${to}\0${body}`)
    .digest()
