import { type ClockHistory, monotonicMs } from '../clock.ts'
import {
  type Acknowledgement,
  type Batch,
  type Database,
  DatabaseUnavailable,
  type MessageRecord,
} from '../database/database.ts'
import { sessionEnded, tokenExpired } from '../problems.ts'
import { AwaitedReceipts } from './awaited-receipts.ts'
import { CommitQueue } from './commit-queue.ts'
import { Delivery, type Hints } from './delivery.ts'
import { InboxCounts } from './inbox-counts.ts'
import { PageReads, type ReadBudget } from './page-reads.ts'
import { type OnAnswer, Poll, type PollEvents, type PollRequest, type Reader } from './poll.ts'
import { asReading, type Reading, refuseAhead } from './reading.ts'
import type { Response } from './response.ts'
import { asAppend, asSent, type Sending, type Sent } from './sending.ts'
import type { Connection } from './waiter.ts'
import type { Waiters } from './waiters.ts'

/** The other nodes on the same store, as the inbox sees them. */
export interface OtherNodes {
  /** Called when the outcome of a commit is unknown. */
  suspectMissed: () => void
}

export interface InboxRules {
  /** How long an idempotency key gives the same answer again. */
  idempotencyTtlMs: number
}

type InboxDatabase = Pick<Database, 'commit' | 'readInbox' | 'newestSeq' | 'findMessage'>

/** The three verbs: append, read, acknowledge. */
export class Inbox {
  readonly counts = new InboxCounts()
  readonly #database: InboxDatabase
  readonly #waiters: Waiters
  readonly #history: ClockHistory
  readonly #idempotencyTtlMs: number
  readonly #others: OtherNodes | undefined
  readonly #commits: CommitQueue
  readonly #awaitedReceipts = new AwaitedReceipts()
  readonly #pages: PageReads
  readonly #pollEvents: PollEvents = {
    onLook: (poll) => void this.#look(poll),
    onDisplaced: (poll) => this.#pages.chargeIdle(poll),
    onOver: ({ poller, accepted, away }) => this.#waiters.leave(poller, accepted && !away),
  }

  /**
   * @param others the nodes that write to the same store; undefined when this is the only one
   * @param hints undefined where nobody is woken
   */
  constructor(
    database: InboxDatabase,
    waiters: Waiters,
    history: ClockHistory,
    { idempotencyTtlMs }: InboxRules,
    budget: ReadBudget,
    others?: OtherNodes,
    hints?: Hints,
  ) {
    this.#database = database
    this.#pages = new PageReads(database, waiters, budget, hints)
    this.#waiters = waiters
    this.#history = history
    this.#idempotencyTtlMs = idempotencyTtlMs
    this.#others = others
    // Once per batch, not per message.
    const commit = (batch: Batch) =>
      this.counts.commit(database, batch).catch((error) => {
        others?.suspectMissed()
        throw error
      })
    const delivery = new Delivery(waiters, this.#awaitedReceipts, this.counts, hints)
    const defersAcknowledgements = others === undefined
    this.#commits = new CommitQueue({ commit }, (...committed) => delivery.deliver(...committed), {
      defersAcknowledgements,
    })
  }

  /** How many messages wait for a commit to take them. */
  get appendsWaiting(): number {
    return this.#commits.waiting
  }

  /**
   * Adds a message to the recipient's inbox. Resolves when it is on the disk.
   *
   * @throws Problem recipient_not_found, blocked, inbox_full, too_many_unread, idempotency_key_reused
   */
  async append(sending: Sending): Promise<Sent> {
    const nowMs = this.#history.now()
    const keysBeforeMs = () => this.#history.oldBeforeMs(this.#idempotencyTtlMs)
    const append = asAppend(sending, nowMs, keysBeforeMs, this.#waiters.isOnline(sending.to))
    return asSent(append, await this.#commits.append(append))
  }

  /**
   * Reads what follows the cursor, and waits for it when there is nothing.
   *
   * @param onAnswer gets what was read, or Problem cursor_ahead, invalid_token, session_ended
   */
  read(reader: Reader, request: PollRequest, onAnswer: OnAnswer): void {
    this.#waiters.enter(reader)
    void this.#look(new Poll(reader, request, this.#pollEvents, onAnswer))
  }

  /** Answers a poll, or parks it. */
  async #look(poll: Poll): Promise<void> {
    try {
      if (!poll.accepted) await this.#pages.refuseDebtor(poll)
      const { poller, cursor } = poll
      // If the cursor is known to be the newest number, the store need not be read; unless another node may
      // have written, and its notification is on its way, or lost.
      const mustRead = this.#others || this.#waiters.newestSeq(poller.username) !== cursor
      const page = mustRead ? await this.#pages.read(poll) : undefined
      if (mustRead && !page) return poll.answerNothing()
      if (page) poll.cursor = page.after
      // Either may have happened while it waited for its turn.
      if (poller.ended) throw sessionEnded(poller.ended)
      if (poll.tokenExpiresAtMs <= this.#history.now()) throw tokenExpired()
      const hasMore = page !== undefined && page.after < page.newestSeq
      if (!poll.accepted) {
        if (!mustRead && !poll.waits) this.#pages.chargeIdle(poll)
        await this.#accept(poll)
      }
      if (hasMore) return poll.answer(asReading(page))

      const leftMs = poll.untilMs - monotonicMs()
      if (leftMs <= 0) return poll.answerNothing()
      this.#waiters.park(poll, leftMs)
    } catch (error) {
      poll.finish(error as Error)
    }
  }

  /** A poll that is not refused acknowledges, and makes its account online unless it is away. */
  async #accept(poll: Poll): Promise<void> {
    const { poller, after = 0 } = poll
    this.#acknowledge(poller, Math.max(after, poller.offeredSeq))
    // Another node must not deliver again what was acknowledged here.
    if (this.#others) await this.#commits.acknowledged(ofSession(poller))
    poll.accepted = true
    if (!poll.away) this.#waiters.accept(poller)
  }

  /**
   * Notes that a client has processed everything up to a cursor. Resolves when that is on the disk.
   *
   * @throws Problem cursor_ahead
   */
  async acknowledge(reader: Reader, cursor: number): Promise<void> {
    const known = this.#waiters.newestSeq(reader.username)
    if (known === undefined || cursor > known) {
      refuseAhead(cursor, await this.#database.newestSeq(reader.accountId))
    }
    this.#acknowledge(reader, Math.max(cursor, reader.offeredSeq))
    await this.#commits.acknowledged(ofSession(reader))
  }

  /**
   * The token is the receipt: a client that shows it at the inbox, or at the end of its session, has received
   * the whole login response. Resolves when all that the session has acknowledged is in the store.
   */
  async acknowledgeOffered(reader: Reader): Promise<void> {
    this.#acknowledge(reader, reader.offeredSeq)
    await this.#commits.acknowledged(ofSession(reader))
  }

  /**
   * The first page behind what the account has acknowledged, for a login; undefined when its client has gone.
   *
   * @param limit at most this many messages
   * @param response what will carry it, over `connection`
   */
  async firstPage(
    accountId: number,
    limit: number,
    response: Response,
    connection: Connection,
  ): Promise<(Reading & { after: number }) | undefined> {
    // What an older session acknowledged may still be deferred.
    await this.#commits.acknowledged((acknowledgement) => acknowledgement.accountId === accountId)
    const page = await this.#pages.first(accountId, limit, response, connection)
    return page && { ...asReading(page), after: page.after }
  }

  /** The message of that id, to its sender and its recipient. */
  async find(username: string, messageId: string): Promise<MessageRecord | undefined> {
    // An acknowledgement may still be deferred. If it cannot be written, the state in the store has to do.
    await this.#commits
      .acknowledged(() => true)
      .catch((error: unknown) => {
        if (!(error instanceof DatabaseUnavailable)) throw error
      })
    const message = await this.#database.findMessage(messageId)
    return message && [message.from, message.to].includes(username) ? message : undefined
  }

  /** When an account or a session was last online, if this process knows; 0 otherwise. */
  lastSeenAtMs(username: string, sessionId?: string): number {
    const [hereMs = 0, notedMs = 0] = [this.#waiters, this.#commits].map((memory) =>
      memory.lastSeenAtMs(username, sessionId),
    )
    return Math.max(hereMs, notedMs)
  }

  /** Records when an account, or one of its sessions, was last online. */
  noteLastSeen(username: string, atMs?: number, sessionId?: string): void {
    const nowMs = this.#history.now()
    this.#commits.noteLastSeen({ username, sessionId, atMs: atMs ?? nowMs, nowMs })
  }

  /** Resolves when every acknowledgement that came before is in the store. */
  acknowledgementsWritten(): Promise<void> {
    return this.#commits.acknowledged(() => true)
  }

  /** Resolves when everything that came before is in the store. */
  flushed(): Promise<void> {
    return this.#commits.flushed()
  }

  #acknowledge(reader: Reader, seq: number) {
    if (seq <= reader.acknowledgedSeq) return
    this.counts.movedOn(seq - reader.acknowledgedSeq)
    reader.acknowledgedSeq = seq
    const { id: sessionId, accountId, username } = reader
    this.#commits.acknowledge({ sessionId, accountId, seq, atMs: this.#history.now() })
    // A failed write stays deferred.
    if (this.#awaitedReceipts.mayCome(username, seq))
      this.#commits.acknowledged(ofSession(reader)).catch(() => {})
  }
}

const ofSession =
  ({ id }: Reader) =>
  ({ sessionId }: Acknowledgement) =>
    sessionId === id
