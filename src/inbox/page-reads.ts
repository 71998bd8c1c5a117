import type { Database, Page, ReadFrom, StoredMessage } from '../database/database.ts'
import { tooEarly } from '../problems.ts'
import type { Hints } from './delivery.ts'
import { lengthOf, pageSize } from './page.ts'
import type { Poll, Reader } from './poll.ts'
import { ReadTurns } from './read-turns.ts'
import { refuseAhead } from './reading.ts'
import { isNext, type Response } from './response.ts'
import type { Connection } from './waiter.ts'
import type { Waiters } from './waiters.ts'

/** What a page costs besides its texts and receipts: to find its place, and to read each row. */
const PAGE_COST = 4_096
const MESSAGE_COST = 256

/** How much may be read without waiting for it. */
export interface ReadBudget {
  /** For how many ms an account may not read what is there; 0 when it may. */
  pagesOwedMs: (accountId: number) => number
  chargePage: (accountId: number, cost: number) => void
  /** For how many ms a session may not ask for nothing; 0 when it may. */
  idlePollsOwedMs: (sessionId: string) => number
  chargeIdlePoll: (sessionId: string) => void
}

/** Reads pages of the store: in turn, no earlier than they can be written, and as far as the budget goes. */
export class PageReads {
  readonly #database: Pick<Database, 'readInbox' | 'newestSeq'>
  readonly #waiters: Waiters
  readonly #budget: ReadBudget
  readonly #hints: Pick<Hints, 'takeBack'> | undefined
  readonly #turns = new ReadTurns()

  constructor(
    database: Pick<Database, 'readInbox' | 'newestSeq'>,
    waiters: Waiters,
    budget: ReadBudget,
    hints?: Pick<Hints, 'takeBack'>,
  ) {
    this.#database = database
    this.#waiters = waiters
    this.#budget = budget
    this.#hints = hints
  }

  /**
   * What follows the cursor of a poll; undefined when the client has gone away.
   *
   * @throws Problem cursor_ahead, rate_limited
   */
  async read(poll: Poll): Promise<Page | undefined> {
    const { poller, connection, response, after, limit, cursor, accepted } = poll
    if (!response.socket && !(await isNext(response, connection))) return undefined
    return this.#turns.read(poller.accountId, response, async () => {
      await turnOfEventLoop()
      if (connection.destroyed) return undefined
      // Others may have read meanwhile.
      if (!accepted) await this.refuseDebtor(poll)
      const from: ReadFrom = after ?? { sessionId: poller.id, atLeast: cursor }
      const page = await this.#read(poller, from, limit)
      this.#waiters.learn(poller.username, page.newestSeq)
      if (!accepted) this.#charge(poll, page)
      refuseAhead(page.after, page.newestSeq)
      return page
    })
  }

  /**
   * The first page behind what an account has acknowledged, for a login. It has limits of its own, and stands
   * in no line: clients that hold the places of the account must not keep its owner from taking over.
   * Undefined when the client has gone away.
   */
  async first(
    accountId: number,
    limit: number,
    response: Response,
    connection: Connection,
  ): Promise<Page | undefined> {
    if (!(await isNext(response, connection))) return undefined
    return this.#database.readInbox(accountId, 'acknowledged', pageSize(limit))
  }

  /**
   * Refuses a poll that would be answered without waiting when too much was read that way.
   *
   * @throws Problem rate_limited
   */
  async refuseDebtor(poll: Poll): Promise<void> {
    const { poller, cursor } = poll
    const pagesOwedMs = this.#budget.pagesOwedMs(poller.accountId)
    const idlePollsOwedMs = this.#budget.idlePollsOwedMs(poller.id)
    if (pagesOwedMs + idlePollsOwedMs === 0) return
    const newestSeq =
      this.#waiters.newestSeq(poller.username) ?? (await this.#database.newestSeq(poller.accountId))
    const mayWait = poll.waits && newestSeq === cursor && !this.#waiters.isCrowded(poller)
    const owedMs = newestSeq > cursor ? pagesOwedMs : mayWait ? 0 : idlePollsOwedMs
    if (owedMs > 0) throw tooEarly('rate_limited', owedMs)
  }

  /** Counts a poll that found nothing, and did not wait for anything. */
  chargeIdle({ poller }: Poll): void {
    this.#budget.chargeIdlePoll(poller.id)
  }

  async #read({ id, accountId }: Reader, from: ReadFrom, limit: number): Promise<Page> {
    const read = () => this.#database.readInbox(accountId, from, pageSize(limit), this.#hints && id)
    const page = await read()
    if (!this.#hints || !page.wasHinted || page.after > page.newestSeq) return page
    await this.#hints.takeBack(id)
    // Once more: a message that came meanwhile was not hinted.
    return read()
  }

  #charge(poll: Poll, page: Page) {
    if (page.after < page.newestSeq) this.#chargePage(poll.poller, page)
    // One that is ahead is refused, however long it would wait.
    else if (!poll.waits || page.after > page.newestSeq) this.chargeIdle(poll)
  }

  #chargePage(poller: Reader, { messages }: Page) {
    this.#budget.chargePage(poller.accountId, costOfAgain(messages, poller.handedSeq))
    poller.handedSeq = Math.max(poller.handedSeq, messages.at(-1)?.seq ?? 0)
  }
}

/** Resolves when what has come in meanwhile was taken: page after page would keep it waiting. */
const turnOfEventLoop = () => new Promise<void>((resolve) => setImmediate(resolve))

/** What it costs to read messages that a session was given before; the first time costs it nothing. */
const costOfAgain = (messages: StoredMessage[], handedSeq: number) =>
  messages
    .filter(({ seq }) => seq <= handedSeq)
    .reduce((sum, message) => sum + lengthOf(message) + MESSAGE_COST, PAGE_COST)
