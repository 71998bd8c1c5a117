import { createHash } from 'node:crypto'
import {
  type Append,
  type Database,
  type Message,
  type MessageRecord,
  type Page,
  pageOf,
} from '../database/database.ts'
import { Problem, sessionEnded } from '../problems.ts'
import { CommitQueue, type Committed } from './commit-queue.ts'
import { messageId } from './message-id.ts'
import { asReading, firstOf, type Reading, refuseAhead } from './reading.ts'
import type { Connection, Poller, Waiters } from './waiters.ts'

/** A session, as far as its inbox cares. */
export interface Reader extends Poller {
  readonly accountId: number
  /** How far this client has acknowledged; moves forward only. */
  acknowledgedSeq: number
  /** The cursor of the login response, acknowledged by the first request made with its token. */
  readonly offeredSeq: number
}

export interface Sending {
  sender: { accountId: number; username: string }
  to: string
  body: string
  idempotencyKey: string | undefined
}

export interface Receipt {
  id: string
  sentAtMs: number
  live: boolean
  /** Whether this answer was given before, to a send with the same idempotency key. */
  replayed: boolean
}

export interface PollRequest {
  /** Everything up to here was processed; undefined to read on behind the last acknowledged message. */
  after: number | undefined
  limit: number
  /** How long to wait for a message when there is none, in ms. */
  waitMs: number
  /** When the token ends, and the wait with it. */
  tokenExpiresAtMs: number
  connection: Connection
}

export interface PollAnswer extends Reading {
  /** Whether it waited for what it brings. */
  waited: boolean
  /** The server is shutting down: the client shall come back a little later. */
  closing: boolean
}

type InboxDatabase = Pick<Database, 'commit' | 'readInbox' | 'findMessage'>

/** The three verbs: append, read, acknowledge. */
export class Inbox {
  readonly #database: InboxDatabase
  readonly #waiters: Waiters
  readonly #commits: CommitQueue

  constructor(database: InboxDatabase, waiters: Waiters) {
    this.#database = database
    this.#waiters = waiters
    this.#commits = new CommitQueue(database, (committed) => this.#deliver(committed))
  }

  /**
   * Adds a message to the recipient's inbox. Resolves when it is on the disk.
   *
   * @throws Problem recipient_not_found, inbox_full, idempotency_key_reused
   */
  async append({ sender, to, body, idempotencyKey }: Sending): Promise<Receipt> {
    const sentAtMs = Date.now()
    const append: Append = {
      senderId: sender.accountId,
      from: sender.username,
      to,
      id: messageId(sentAtMs),
      body,
      sentAtMs,
      live: this.#waiters.isOnline(to),
      idempotency:
        idempotencyKey === undefined
          ? undefined
          : { key: idempotencyKey, fingerprint: fingerprint(to, body) },
    }
    const outcome = await this.#commits.append(append)
    switch (outcome.kind) {
      case 'appended':
        return { id: append.id, sentAtMs: append.sentAtMs, live: append.live, replayed: false }
      case 'replayed':
        return { id: outcome.id, sentAtMs: outcome.sentAtMs, live: outcome.live, replayed: true }
      case 'recipient_not_found':
        throw new Problem('recipient_not_found', `There is nobody by the name of ${to}.`)
      case 'inbox_full':
        throw new Problem(
          'inbox_full',
          `The inbox of ${to} takes no more until its owner has read some of it.`,
        )
      case 'idempotency_key_reused':
        throw new Problem(
          'idempotency_key_reused',
          'This Idempotency-Key came with another recipient or body before. A new message needs a new key.',
        )
    }
  }

  /**
   * Reads what follows the cursor, and waits for it when there is nothing.
   *
   * @throws Problem cursor_ahead, session_ended
   */
  async read(
    reader: Reader,
    { after, limit, waitMs, tokenExpiresAtMs, connection }: PollRequest,
  ): Promise<PollAnswer> {
    const cursor = after ?? reader.acknowledgedSeq
    const untilMs = Date.now() + waitMs
    this.#waiters.enter(reader)
    try {
      for (let waited = false; ; waited = true) {
        // Where the newest number is known to be the cursor, the store has nothing to tell.
        if (this.#waiters.newestSeq(reader.username) !== cursor) {
          const page = await this.#look(reader, cursor, limit)
          if (after !== undefined) this.#acknowledge(reader, after)
          if (reader.ended) throw sessionEnded()
          if (cursor < page.newestSeq) return { ...asReading(page), waited, closing: false }
        } else if (after !== undefined) this.#acknowledge(reader, after)

        const leftMs = Math.min(untilMs, tokenExpiresAtMs) - Date.now()
        if (leftMs <= 0) return nothing(cursor, waited)
        const end = await this.#waiters.park(reader, cursor, leftMs, connection)
        switch (end.kind) {
          case 'messages':
            return { ...firstOf(end.messages, cursor, limit), waited: true, closing: false }
          case 'look':
            continue
          case 'ended':
            throw sessionEnded()
          case 'nothing':
            // Not by the clock: a timer may go a millisecond early.
            if (tokenExpiresAtMs < untilMs) throw sessionEnded()
            return nothing(cursor, true)
          case 'displaced':
            // Whoever comes back from here displaces the next: that is no waiting, and is limited.
            return nothing(cursor, false)
          case 'closing':
            return { ...nothing(cursor, true), closing: true }
          case 'gone':
            return nothing(cursor, true)
        }
      }
    } finally {
      this.#waiters.leave(reader)
    }
  }

  async #look(reader: Reader, cursor: number, limit: number): Promise<Page> {
    const page = await this.#database.readInbox(reader.accountId, cursor, limit)
    this.#waiters.learn(reader.username, page.newestSeq)
    refuseAhead(cursor, page.newestSeq)
    return page
  }

  /**
   * Notes that a client has processed everything up to a cursor. Resolves when that is on the disk.
   *
   * @throws Problem cursor_ahead
   */
  async acknowledge(reader: Reader, cursor: number): Promise<void> {
    const known = this.#waiters.newestSeq(reader.username)
    if (known === undefined || cursor > known) {
      const { newestSeq } = await this.#database.readInbox(reader.accountId, cursor, 0)
      refuseAhead(cursor, newestSeq)
    }
    this.#acknowledge(reader, cursor)
    await this.#commits.settled()
  }

  /** The token is the receipt: who shows it has received the whole login response, and the messages in it. */
  acknowledgeOffered(reader: Reader): void {
    this.#acknowledge(reader, reader.offeredSeq)
  }

  /**
   * The first page behind what the account has acknowledged, for a login.
   *
   * @param limit at most this many messages
   */
  async firstPage(accountId: number, limit: number): Promise<Reading & { after: number }> {
    // What an older session acknowledged may still be on its way to the store.
    await this.#commits.settled()
    const page = await this.#database.readInbox(accountId, undefined, limit)
    return { ...asReading(page), after: page.after }
  }

  /** The message of that id, to its sender and its recipient. */
  async find(username: string, messageId: string): Promise<MessageRecord | undefined> {
    await this.#commits.settled()
    const message = await this.#database.findMessage(messageId)
    return message && [message.from, message.to].includes(username) ? message : undefined
  }

  /** Notes when an account was last online. */
  see(username: string, atMs: number): void {
    this.#commits.see({ username, atMs })
  }

  /** Resolves when everything that was said is in the store. */
  settled(): Promise<void> {
    return this.#commits.settled()
  }

  #acknowledge(reader: Reader, seq: number) {
    if (seq <= reader.acknowledgedSeq) return
    reader.acknowledgedSeq = seq
    this.#commits.acknowledge({ sessionId: reader.id, accountId: reader.accountId, seq })
  }

  /** Hands what was committed to those who wait for it. */
  #deliver(committed: Committed[]) {
    const arrived = new Map<string, Message[]>()
    for (const { append, outcome } of committed) {
      if (outcome.kind !== 'appended' || !this.#waiters.hasMailbox(append.to)) continue
      const { to, from, id, body, sentAtMs } = append
      const message = { seq: outcome.seq, id, from, body, sentAt: new Date(sentAtMs).toISOString() }
      const messages = arrived.get(to)
      if (messages) messages.push(message)
      else arrived.set(to, [message])
    }
    for (const [to, messages] of arrived) this.#waiters.deliver(to, messages)
  }
}

const nothing = (cursor: number, waited: boolean): PollAnswer => ({
  messages: pageOf([]),
  cursor,
  hasMore: false,
  waited,
  closing: false,
})

/** Two messages are the same when recipient and body are. */
const fingerprint = (to: string, body: string) => createHash('sha256').update(`${to}\0${body}`).digest()
