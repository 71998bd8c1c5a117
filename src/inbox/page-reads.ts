import type { Database, ReadFrom, StoredPage } from '../database/database.ts'
import { lastSeqOf, type MessageList } from '../message-list.ts'
import { tooEarly } from '../problems.ts'
import { type ClientConnection, type Response, waitUntilNext } from './connection.ts'
import type { PushHints } from './delivery.ts'
import { pageSize, refuseAhead } from './inbox-page.ts'
import type { Mailboxes } from './mailboxes.ts'
import type { Poll, ReadingSession } from './poll.ts'
import { ReadTurns } from './read-turns.ts'

/** The cost of a page besides its bytes: finding its place. */
const PAGE_COST = 4_096

/** Limits reads that are answered without a wait. */
export interface PageBudget {
  /** For how many ms an account may not read stored messages; 0 when it may. */
  pagesOwedMs: (accountId: number) => number
  chargePage: (accountId: number, cost: number) => void
  /** For how many ms a session may not ask for nothing; 0 when it may. */
  idlePollsOwedMs: (sessionId: string) => number
  chargeIdlePoll: (sessionId: string) => void
}

/** Reads pages of the store: in turn, no earlier than they can be written, and within the budget. */
export class PageReads {
  readonly #database: Pick<Database, 'readInbox' | 'newestSeq'>
  readonly #mailboxes: Mailboxes
  readonly #budget: PageBudget
  readonly #hints: Pick<PushHints, 'takeBack'> | undefined
  readonly #turns = new ReadTurns()

  constructor(
    database: Pick<Database, 'readInbox' | 'newestSeq'>,
    mailboxes: Mailboxes,
    budget: PageBudget,
    hints?: Pick<PushHints, 'takeBack'>,
  ) {
    this.#database = database
    this.#mailboxes = mailboxes
    this.#budget = budget
    this.#hints = hints
  }

  /**
   * What follows the cursor of a poll; undefined when the client has gone away.
   *
   * @throws Problem cursor_ahead, rate_limited
   */
  async read(poll: Poll): Promise<StoredPage | undefined> {
    const { session, connection, response, after, limit, cursor, accepted } = poll
    if (!response.socket && !(await waitUntilNext(response, connection))) return undefined
    return this.#turns.read(session.accountId, response, async () => {
      await turnOfEventLoop()
      if (connection.destroyed) return undefined
      // Others may have read meanwhile.
      if (!accepted) await this.refuseDebtor(poll)
      const from: ReadFrom = after ?? { sessionId: session.id, atLeast: cursor }
      const page = await this.#read(session, from, limit)
      this.#mailboxes.noteNewestSeq(session.username, page.newestSeq)
      if (!accepted) this.#charge(poll, page)
      refuseAhead(page.after, page.newestSeq)
      return page
    })
  }

  /**
   * The first page behind the acknowledged `seq` of an account, for a login. Logins have limits of their own,
   * so it does not queue: clients that hold the places of the account must not keep its owner from taking
   * over. Undefined when the client has gone away.
   */
  async first(
    accountId: number,
    limit: number,
    response: Response,
    connection: ClientConnection,
  ): Promise<StoredPage | undefined> {
    if (!(await waitUntilNext(response, connection))) return undefined
    return this.#database.readInbox(accountId, 'acknowledged', pageSize(limit))
  }

  /**
   * Refuses a poll that would be answered without waiting when too much was read that way.
   *
   * @throws Problem rate_limited
   */
  async refuseDebtor(poll: Poll): Promise<void> {
    const { session, cursor } = poll
    const pagesOwedMs = this.#budget.pagesOwedMs(session.accountId)
    const idlePollsOwedMs = this.#budget.idlePollsOwedMs(session.id)
    if (pagesOwedMs + idlePollsOwedMs === 0) return
    const newestSeq =
      this.#mailboxes.newestSeq(session.username) ?? (await this.#database.newestSeq(session.accountId))
    const mayWait = poll.waits && newestSeq === cursor && !this.#mailboxes.isCrowded(session)
    const owedMs = newestSeq > cursor ? pagesOwedMs : mayWait ? 0 : idlePollsOwedMs
    if (owedMs > 0) throw tooEarly('rate_limited', owedMs)
  }

  /** Counts a poll that found nothing, and did not wait for anything. */
  chargeIdle({ session }: Poll): void {
    this.#budget.chargeIdlePoll(session.id)
  }

  async #read({ id, accountId }: ReadingSession, from: ReadFrom, limit: number): Promise<StoredPage> {
    const read = () => this.#database.readInbox(accountId, from, pageSize(limit), this.#hints && id)
    const page = await read()
    if (!this.#hints || !page.wasHinted || page.after > page.newestSeq) return page
    await this.#hints.takeBack(id)
    // Once more: a message that came meanwhile was not hinted.
    return read()
  }

  #charge(poll: Poll, page: StoredPage) {
    if (page.after < page.newestSeq) this.#chargePage(poll.session, page)
    // One that is ahead is refused, however long it would wait.
    else if (!poll.waits || page.after > page.newestSeq) this.chargeIdle(poll)
  }

  #chargePage(session: ReadingSession, { messages }: StoredPage) {
    this.#budget.chargePage(session.accountId, costOfRereading(messages, session.handedSeq))
    session.handedSeq = Math.max(session.handedSeq, lastSeqOf(messages) ?? 0)
  }
}

/** Lets the event loop handle what has come in: page after page would hold it up. */
const turnOfEventLoop = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The bytes of a page that the session has read before, and what finding its place costs. */
function costOfRereading({ json, count, firstSeq = 0 }: MessageList, handedSeq: number): number {
  const again = Math.min(Math.max(handedSeq - firstSeq + 1, 0), count)
  return PAGE_COST + (count === 0 ? 0 : (Buffer.byteLength(json) * again) / count)
}
