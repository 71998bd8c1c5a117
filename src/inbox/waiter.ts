import type { StoredMessage } from '../database/database.ts'
import type { SessionEnd } from '../problems.ts'
import type { Deadlines } from './deadlines.ts'

/** How a wait ends. */
export type WaitEnd =
  /** These messages were committed, right after the cursor. */
  | { kind: 'messages'; messages: StoredMessage[] }
  /** There is something new: read the store. */
  | { kind: 'look' }
  /** The wait is over. */
  | { kind: 'nothing' }
  /** A newer poll of the session replaced it. */
  | { kind: 'displaced' }
  /** The session was ended. */
  | { kind: 'ended'; ended: SessionEnd }
  /** The token that it was begun with has expired. */
  | { kind: 'expired' }
  /** The server is shutting down. */
  | { kind: 'closing' }
  /** The client went away. */
  | { kind: 'gone' }

/** The part of a session that waiters use. */
export interface Poller {
  readonly id: string
  readonly username: string
  /** Whether it has ended: by logout, takeover, a new password, or with its account. */
  readonly ended: SessionEnd
}

/** The client's connection: whether and when it closed. A socket is one. */
export interface Connection {
  readonly destroyed: boolean
  on: (event: 'close', listener: () => void) => unknown
  off: (event: 'close', listener: () => void) => unknown
}

export interface Queue {
  /** In order of arrival. Replaced instead of modified, so that a loop over it may settle its items. */
  waiters: readonly Waiter[]
}

/** The part of a poll that waiters use. */
export interface Waiting {
  readonly poller: Poller
  /** It waits for entries after this. */
  readonly cursor: number
  /** When its token expires, by the wall clock. */
  readonly tokenExpiresAtMs: number
  readonly connection: Connection
  /** It does not make its account online. */
  readonly away: boolean
  /** Called once per parking. */
  wake: (end: WaitEnd) => void
}

/** A parked poll. There may be tens of thousands, so it holds little. */
export class Waiter {
  readonly waiting: Waiting
  readonly #queue: Queue
  readonly #onGone = () => this.settle({ kind: 'gone' })
  readonly #deadline: Set<Waiter>

  /** @param waitMs at most this long */
  constructor(waiting: Waiting, queue: Queue, deadlines: Deadlines<Waiter>, waitMs: number) {
    this.waiting = waiting
    this.#queue = queue
    this.#deadline = deadlines.add(this, waitMs)
    waiting.connection.on('close', this.#onGone)
    // Not spread: an array built step by step allocates room for 17.
    queue.waiters = queue.waiters.concat(this)
  }

  settle(end: WaitEnd) {
    // Only once, whatever the callback causes.
    if (!this.#deadline.delete(this)) return
    // The connection outlives the poll and must not accumulate listeners.
    this.waiting.connection.off('close', this.#onGone)
    // By identity: a poll that ends late must not replace a newer one.
    this.#queue.waiters = this.#queue.waiters.filter((waiter) => waiter !== this)
    this.waiting.wake(end)
  }
}
