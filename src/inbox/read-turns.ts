import type { StoredPage } from '../database/database.ts'
import type { Response } from './connection.ts'

/** Pages of one account that are read, or held as an answer, at a time. */
const PAGES_PER_ACCOUNT_MAX = 2

/** Pages that are read at a time, of all accounts. A look-up of an account or session waits for them. */
const READS_MAX = 4

/** A longer page keeps its place until it is written out. The kernel buffers less than this. */
const SMALL_BYTES_MAX = 65_536

/** A client that takes longer for a page is cut off when another read of its account waits for the place. */
const HELD_MS_MAX = 10_000

/** A page that its client has not received yet. */
interface Held {
  response: Response
  overdue: boolean
}

interface ReadingAccount {
  /** How many of its pages are read or held. */
  places: number
  queue: (() => void)[]
  held: Set<Held>
}

/**
 * The queue for reads of the store. Accounts take turns, page by page, so an account with hundreds of
 * connections delays the others by a few pages, and holds two pages in memory.
 */
export class ReadTurns {
  /** Accounts with a page, or with a read in the queue. */
  readonly #accounts = new Map<number, ReadingAccount>()
  /** Accounts with a free place and a read in the queue; the first is next. */
  readonly #ready = new Set<ReadingAccount>()
  #reads = 0

  /**
   * Reads a page when it is the account's turn. A large one keeps its place until the response has been
   * written, or its client has gone.
   *
   * @param response carries the page; no other response precedes it on its connection
   */
  async read<P extends Pick<StoredPage, 'messages'> | undefined>(
    accountId: number,
    response: Response,
    readPage: () => Promise<P>,
  ): Promise<P> {
    const account = this.#enter(accountId)
    if (this.#reads < READS_MAX && this.#hasTurn(account)) this.#begin(account)
    else await this.#wait(account)
    let page: P | undefined
    try {
      page = await readPage()
      return page
    } finally {
      this.#reads -= 1
      if (page && !response.destroyed && Buffer.byteLength(page.messages.json) > SMALL_BYTES_MAX)
        this.#hold(accountId, account, response)
      else this.#leave(accountId, account)
    }
  }

  #enter(accountId: number): ReadingAccount {
    let account = this.#accounts.get(accountId)
    if (!account) {
      account = { places: 0, queue: [], held: new Set() }
      this.#accounts.set(accountId, account)
    }
    return account
  }

  /** Whether the account has a free place; queued reads come first. */
  #hasTurn({ places, queue }: ReadingAccount): boolean {
    return places < PAGES_PER_ACCOUNT_MAX && queue.length === 0
  }

  #begin(account: ReadingAccount) {
    account.places += 1
    this.#reads += 1
  }

  #wait(account: ReadingAccount): Promise<void> {
    return new Promise((resolve) => {
      account.queue.push(resolve)
      if (account.places < PAGES_PER_ACCOUNT_MAX) this.#ready.add(account)
      else cutOverdue(account)
    })
  }

  #hold(accountId: number, account: ReadingAccount, response: Response) {
    const held = { response, overdue: false }
    account.held.add(held)
    const timer = setTimeout(() => {
      held.overdue = true
      if (account.queue.length > 0) cutOverdue(account)
    }, HELD_MS_MAX).unref()
    response.once('close', () => {
      clearTimeout(timer)
      account.held.delete(held)
      this.#leave(accountId, account)
    })
    this.#callNext()
  }

  #leave(accountId: number, account: ReadingAccount) {
    account.places -= 1
    if (account.queue.length > 0) this.#ready.add(account)
    else if (account.places === 0) this.#accounts.delete(accountId)
    this.#callNext()
  }

  #callNext() {
    for (const account of this.#ready) {
      if (this.#reads >= READS_MAX) return
      this.#ready.delete(account)
      const next = account.queue.shift()
      if (!next) continue
      this.#begin(account)
      // Moves to the end; the loop reaches it again.
      if (account.queue.length > 0 && account.places < PAGES_PER_ACCOUNT_MAX) this.#ready.add(account)
      next()
    }
  }
}

/** Makes room for queued reads by cutting the connection that has held its page the longest. */
function cutOverdue({ held }: ReadingAccount) {
  const [first] = held
  if (first?.overdue) first.response.destroy()
}
