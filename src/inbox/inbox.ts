import type { Clock } from '../clock.ts'
import {
  type Batch,
  type Database,
  type Message,
  type MessageRecord,
  type Page,
  pageOf,
  type ReadFrom,
} from '../database/database.ts'
import { sessionEnded } from '../problems.ts'
import { CommitQueue, type Committed } from './commit-queue.ts'
import { asReading, firstOf, type Reading, refuseAhead } from './reading.ts'
import { asAppend, asReceipt, type Receipt, type Sending } from './sending.ts'
import type { Connection, Poller } from './waiter.ts'
import type { Waiters } from './waiters.ts'

/** A session, as far as its inbox cares. */
export interface Reader extends Poller {
  readonly accountId: number
  /** Also said here, when its polls are told so and nobody else has this object any more. */
  ended: boolean
  /** How far this client has acknowledged; moves forward only. */
  acknowledgedSeq: number
  /** The cursor of the login response, acknowledged by the first request made with its token. */
  readonly offeredSeq: number
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

/** Nodes that write to the same store. */
export interface OtherNodes {
  /** Whether what they commit is known here some milliseconds later. */
  hears: () => boolean
  /** Called when it is not known whether something was committed. */
  doubt: () => void
}

type InboxDatabase = Pick<Database, 'commit' | 'readInbox' | 'findMessage'>

/** The three verbs: append, read, acknowledge. */
export class Inbox {
  readonly #database: InboxDatabase
  readonly #waiters: Waiters
  readonly #clock: Clock
  readonly #others: OtherNodes | undefined
  readonly #commits: CommitQueue

  /** @param others the nodes that write to the same store; undefined when this is the only one */
  constructor(database: InboxDatabase, waiters: Waiters, clock: Clock, others?: OtherNodes) {
    this.#database = database
    this.#waiters = waiters
    this.#clock = clock
    this.#others = others
    // Once a batch, and not once for each of its messages.
    const commit = (batch: Batch) =>
      database.commit(batch).catch((error) => {
        others?.doubt()
        throw error
      })
    this.#commits = new CommitQueue({ commit }, (committed) => this.#deliver(committed))
  }

  /**
   * Adds a message to the recipient's inbox. Resolves when it is on the disk.
   *
   * @throws Problem recipient_not_found, inbox_full, idempotency_key_reused
   */
  async append(sending: Sending): Promise<Receipt> {
    const append = asAppend(sending, this.#clock(), this.#waiters.isOnline(sending.to))
    return asReceipt(append, await this.#commits.append(append))
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
    let cursor = after ?? reader.acknowledgedSeq
    const untilMs = this.#clock() + waitMs
    this.#waiters.enter(reader)
    try {
      for (let waited = false; ; waited = true) {
        // Where the newest number is known to be the cursor, the store has nothing to tell.
        if (this.#waiters.newestSeq(reader.username) !== cursor || this.#mayBeBehind(waitMs)) {
          const page = await this.#look(reader, after ?? { sessionId: reader.id, atLeast: cursor }, limit)
          cursor = page.after
          if (after !== undefined) this.#acknowledge(reader, after)
          if (reader.ended) throw sessionEnded()
          if (cursor < page.newestSeq) return { ...asReading(page), waited, closing: false }
        } else if (after !== undefined) this.#acknowledge(reader, after)

        const leftMs = Math.min(untilMs, tokenExpiresAtMs) - this.#clock()
        if (leftMs <= 0) return nothing(cursor, waited)
        const end = await this.#waiters.park(reader, cursor, leftMs, connection)
        switch (end.kind) {
          case 'messages':
            return { ...firstOf(end.messages, cursor, limit), waited: true, closing: false }
          case 'look':
            continue
          case 'ended':
            reader.ended = true
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

  /**
   * Whether the newest number in memory must not be taken for that of the store. What another node commits is
   * known here some milliseconds later, which is early enough for those who wait.
   */
  #mayBeBehind(waitMs: number): boolean {
    return this.#others !== undefined && (waitMs === 0 || !this.#others.hears())
  }

  async #look(reader: Reader, from: ReadFrom, limit: number): Promise<Page> {
    const page = await this.#database.readInbox(reader.accountId, from, limit)
    this.#waiters.learn(reader.username, page.newestSeq)
    refuseAhead(page.after, page.newestSeq)
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
    const page = await this.#database.readInbox(accountId, 'acknowledged', limit)
    return { ...asReading(page), after: page.after }
  }

  /** The message of that id, to its sender and its recipient. */
  async find(username: string, messageId: string): Promise<MessageRecord | undefined> {
    await this.#commits.settled()
    const message = await this.#database.findMessage(messageId)
    return message && [message.from, message.to].includes(username) ? message : undefined
  }

  /** Notes when an account was last online. */
  see(username: string, atMs = this.#clock()): void {
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
