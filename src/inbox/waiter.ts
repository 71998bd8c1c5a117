import type { StoredMessage } from '../database/database.ts'
import type { SessionEnd } from '../problems.ts'
import type { Deadlines } from './deadlines.ts'

/** How a wait ends. */
export type WaitEnd =
  /** These came, right behind the cursor. */
  | { kind: 'messages'; messages: StoredMessage[] }
  /** Something came: look into the store. */
  | { kind: 'look' }
  /** Nothing came in time. */
  | { kind: 'nothing' }
  /** A newer poll of the session took the place. */
  | { kind: 'displaced' }
  /** The session was ended. */
  | { kind: 'ended'; ended: SessionEnd }
  /** The token that it was begun with has expired. */
  | { kind: 'expired' }
  /** The server is shutting down. */
  | { kind: 'closing' }
  /** The client went away. */
  | { kind: 'gone' }

/** Somebody who polls: a session, as far as the waiters care. */
export interface Poller {
  readonly id: string
  readonly username: string
  /** Logged out, taken over, expelled by a new password, or disabled or gone with its account. */
  readonly ended: SessionEnd
}

/** The client's end of the line, which tells when it has gone away. A socket is one. */
export interface Connection {
  readonly destroyed: boolean
  on: (event: 'close', listener: () => void) => unknown
  off: (event: 'close', listener: () => void) => unknown
}

export interface Queue {
  /** In order of arrival. Replaced and never changed, so that whoever goes through it may settle them. */
  waiters: readonly Waiter[]
}

/** A poll, as far as the waiters care. */
export interface Waiting {
  readonly poller: Poller
  /** What it waits to follow. */
  readonly cursor: number
  /** When its token expires, by the wall clock. */
  readonly tokenExpiresAtMs: number
  readonly connection: Connection
  /** It does not make its account online. */
  readonly away: boolean
  /** Called once for each time that it was parked. */
  wake: (end: WaitEnd) => void
}

/** A poll in its place. There may be tens of thousands, so it holds little. */
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
    // Not spread: an array that was built step by step has room for 17.
    queue.waiters = queue.waiters.concat(this)
  }

  settle(end: WaitEnd) {
    // Only once, whatever else its end brings about.
    if (!this.#deadline.delete(this)) return
    // The connection outlives the poll, and must not collect listeners.
    this.waiting.connection.off('close', this.#onGone)
    // By identity: a poll that ends late must not take the place of a newer one.
    this.#queue.waiters = this.#queue.waiters.filter((waiter) => waiter !== this)
    this.waiting.wake(end)
  }
}
