import { type ClockHistory, monotonicMs } from '../clock.ts'
import {
  type Acknowledgement,
  type Batch,
  type Database,
  DatabaseUnavailable,
  type MessageRecord,
} from '../database/database.ts'
import type { Presence } from '../presence.ts'
import { sessionEnded, tokenExpired } from '../problems.ts'
import { AwaitedReceipts } from './awaited-receipts.ts'
import { CommitQueue } from './commit-queue.ts'
import type { ClientConnection, Response } from './connection.ts'
import { Delivery, type PushHints } from './delivery.ts'
import { InboxCounts } from './inbox-counts.ts'
import { type InboxPage, refuseAhead, toInboxPage } from './inbox-page.ts'
import type { Mailboxes } from './mailboxes.ts'
import { type PageBudget, PageReads } from './page-reads.ts'
import { type OnAnswer, Poll, type PollEvents, type PollRequest, type ReadingSession } from './poll.ts'
import { type SendRequest, type Sent, toNewMessage, toSent } from './send-request.ts'

/** The other nodes that write to the same store. */
export interface OtherNodes {
  /** Called when the outcome of a commit is unknown. */
  suspectMissed: () => void
}

export interface InboxRules {
  /** How long an idempotency key gives the same answer again. */
  idempotencyTtlMs: number
}

type InboxDatabase = Pick<Database, 'commit' | 'readInbox' | 'newestSeq' | 'findMessage'>

/** Append, read, acknowledge; and the last-seen dates that share their commits. */
export class Inbox {
  readonly counts = new InboxCounts()
  readonly #database: InboxDatabase
  readonly #mailboxes: Mailboxes
  readonly #presence: Presence
  readonly #history: ClockHistory
  readonly #idempotencyTtlMs: number
  readonly #others: OtherNodes | undefined
  readonly #commits: CommitQueue
  readonly #awaitedReceipts = new AwaitedReceipts()
  readonly #pages: PageReads
  readonly #pollEvents: PollEvents = {
    onRead: (poll) => void this.#readOrPark(poll),
    onDisplaced: (poll) => this.#pages.chargeIdle(poll),
    onOver: ({ session, accepted, away }) => {
      this.#mailboxes.leave(session.username)
      if (accepted && !away) this.#presence.removePoll(session)
    },
  }

  /**
   * @param others undefined when this is the only node
   * @param hints undefined where push is off
   */
  constructor(
    database: InboxDatabase,
    mailboxes: Mailboxes,
    presence: Presence,
    history: ClockHistory,
    { idempotencyTtlMs }: InboxRules,
    budget: PageBudget,
    others?: OtherNodes,
    hints?: PushHints,
  ) {
    this.#database = database
    this.#pages = new PageReads(database, mailboxes, budget, hints)
    this.#mailboxes = mailboxes
    this.#presence = presence
    this.#history = history
    this.#idempotencyTtlMs = idempotencyTtlMs
    this.#others = others
    // Once per batch, not per message.
    const commit = (batch: Batch) =>
      this.counts.commit(database, batch).catch((error) => {
        others?.suspectMissed()
        throw error
      })
    const delivery = new Delivery(mailboxes, this.#awaitedReceipts, this.counts, hints)
    const defersAcknowledgements = others === undefined
    this.#commits = new CommitQueue({ commit }, (...committed) => delivery.deliver(...committed), {
      defersAcknowledgements,
    })
    presence.on('lastSeen', (username, atMs, sessionId) => this.noteLastSeen(username, atMs, sessionId))
  }

  /** How many messages wait for a commit to take them. */
  get appendsWaiting(): number {
    return this.#commits.waiting
  }

  /**
   * Adds a message to the recipient's inbox. Resolves when it is on the disk.
   *
   * @throws Problem recipient_not_found, blocked, inbox_full, too_many_unread, idempotency_key_reused
   * @throws DatabaseUnavailable
   */
  async append(request: SendRequest): Promise<Sent> {
    const nowMs = this.#history.now()
    const keysBeforeMs = () => this.#history.oldBeforeMs(this.#idempotencyTtlMs)
    const message = toNewMessage(request, nowMs, keysBeforeMs, this.#presence.isOnlineHere(request.to))
    return toSent(message, await this.#commits.append(message))
  }

  /**
   * Reads what follows the cursor, and waits for it when there is nothing.
   *
   * @param onAnswer gets the page, or Problem cursor_ahead, rate_limited, invalid_token, session_ended, or
   * DatabaseUnavailable
   */
  read(session: ReadingSession, request: PollRequest, onAnswer: OnAnswer): void {
    this.#mailboxes.enter(session.username)
    void this.#readOrPark(new Poll(session, request, this.#pollEvents, onAnswer))
  }

  /** Reads the store for a poll and answers it, or parks it when there is nothing. */
  async #readOrPark(poll: Poll): Promise<void> {
    try {
      if (!poll.accepted) await this.#pages.refuseDebtor(poll)
      const { session, cursor } = poll
      // If the cursor is known to be the newest number, the store need not be read; unless another node may
      // have written, and its notification is on its way, or lost.
      const mustRead = this.#others || this.#mailboxes.newestSeq(session.username) !== cursor
      const page = mustRead ? await this.#pages.read(poll) : undefined
      if (mustRead && !page) return poll.answerNothing()
      if (page) poll.cursor = page.after
      // Either may have happened while it waited for its turn.
      if (session.ended) throw sessionEnded(session.ended)
      if (poll.tokenExpiresAtMs <= this.#history.now()) throw tokenExpired()
      const hasMore = page !== undefined && page.after < page.newestSeq
      if (!poll.accepted) {
        if (!mustRead && !poll.waits) this.#pages.chargeIdle(poll)
        await this.#accept(poll)
      }
      if (hasMore) return poll.answer(toInboxPage(page))

      const leftMs = poll.untilMs - monotonicMs()
      if (leftMs <= 0) return poll.answerNothing()
      this.#mailboxes.park(poll, leftMs)
    } catch (error) {
      poll.finish(error as Error)
    }
  }

  /** A poll that is not refused acknowledges, and makes its account online unless it is away. */
  async #accept(poll: Poll): Promise<void> {
    const { session, after = 0 } = poll
    this.#acknowledge(session, Math.max(after, session.offeredSeq))
    // Another node must not deliver acknowledged messages again.
    if (this.#others) await this.#commits.acknowledged(ofSession(session))
    // A session that has ended meanwhile must not come online again.
    if (session.ended) throw sessionEnded(session.ended)
    poll.accepted = true
    if (!poll.away) this.#presence.addPoll(session)
  }

  /**
   * Notes that a client has processed everything up to a cursor. Resolves when that is on the disk.
   *
   * @throws Problem cursor_ahead; DatabaseUnavailable
   */
  async acknowledge(session: ReadingSession, cursor: number): Promise<void> {
    const known = this.#mailboxes.newestSeq(session.username)
    if (known === undefined || cursor > known)
      refuseAhead(cursor, await this.#database.newestSeq(session.accountId))
    this.#acknowledge(session, Math.max(cursor, session.offeredSeq))
    await this.#commits.acknowledged(ofSession(session))
  }

  /**
   * Called at a logout, whose token proves that the whole login response arrived. Resolves when all that the
   * session has acknowledged is in the store.
   */
  async acknowledgeOffered(session: ReadingSession): Promise<void> {
    this.#acknowledge(session, session.offeredSeq)
    await this.#commits.acknowledged(ofSession(session))
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
    connection: ClientConnection,
  ): Promise<(InboxPage & { after: number }) | undefined> {
    // Acknowledgements of an older session may still be deferred.
    await this.#commits.acknowledged((acknowledgement) => acknowledgement.accountId === accountId)
    const page = await this.#pages.first(accountId, limit, response, connection)
    return page && { ...toInboxPage(page), after: page.after }
  }

  /** The message of that id, to its sender and its recipient. */
  async find(username: string, messageId: string): Promise<MessageRecord | undefined> {
    // An acknowledgement may still be deferred. If it cannot be written, the state in the store has to do.
    await this.acknowledgementsWritten().catch((error: unknown) => {
      if (!(error instanceof DatabaseUnavailable)) throw error
    })
    const message = await this.#database.findMessage(messageId)
    return message && [message.from, message.to].includes(username) ? message : undefined
  }

  /** When an account or a session was last online, if this process knows; 0 otherwise. */
  lastSeenAtMs(username: string, sessionId?: string): number {
    const [hereMs = 0, notedMs = 0] = [this.#presence, this.#commits].map((memory) =>
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

  #acknowledge(session: ReadingSession, seq: number) {
    if (seq <= session.acknowledgedSeq) return
    this.counts.countAcknowledged(seq - session.acknowledgedSeq)
    session.acknowledgedSeq = seq
    const { id: sessionId, accountId, username } = session
    this.#commits.acknowledge({ sessionId, accountId, seq, atMs: this.#history.now() })
    // A failed write stays deferred.
    if (this.#awaitedReceipts.mayCause(username, seq))
      this.#commits.acknowledged(ofSession(session)).catch(() => {})
  }
}

const ofSession =
  ({ id }: ReadingSession) =>
  ({ sessionId }: Acknowledgement) =>
    sessionId === id
