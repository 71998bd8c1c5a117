import type { Message } from '../database/database.ts'

/** How a wait ends. */
export type WaitEnd =
  /** These came, right behind the cursor. */
  | { kind: 'messages'; messages: Message[] }
  /** Something came: look into the store. */
  | { kind: 'look' }
  /** Nothing came in time. */
  | { kind: 'nothing' }
  /** A newer poll of the session took the place. */
  | { kind: 'displaced' }
  /** The session was ended. */
  | { kind: 'ended' }
  /** The server is shutting down. */
  | { kind: 'closing' }
  /** The client went away. */
  | { kind: 'gone' }

/** Somebody who polls: a session, as far as the waiters care. */
export interface Poller {
  readonly id: string
  readonly username: string
  /** Logged out, taken over, expelled by a new password, or gone with its account. */
  readonly ended: boolean
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

/** One poll that waits. There may be tens of thousands, so it holds little and makes few closures. */
export class Waiter {
  readonly poller: Poller
  readonly cursor: number
  readonly #queue: Queue
  readonly #connection: Connection
  readonly #timer: NodeJS.Timeout
  readonly #resolve: (end: WaitEnd) => void
  readonly #onGone = () => this.settle({ kind: 'gone' })

  constructor(
    poller: Poller,
    cursor: number,
    queue: Queue,
    waitMs: number,
    connection: Connection,
    resolve: (end: WaitEnd) => void,
  ) {
    this.poller = poller
    this.cursor = cursor
    this.#queue = queue
    this.#connection = connection
    this.#timer = setTimeout(expire, waitMs, this)
    this.#resolve = resolve
    connection.on('close', this.#onGone)
    queue.waiters = [...queue.waiters, this]
  }

  settle(end: WaitEnd) {
    clearTimeout(this.#timer)
    // The connection outlives the poll, and must not collect listeners.
    this.#connection.off('close', this.#onGone)
    // By identity: a poll that ends late must not take the place of a newer one.
    this.#queue.waiters = this.#queue.waiters.filter((waiter) => waiter !== this)
    this.#resolve(end)
  }
}

const expire = (waiter: Waiter) => waiter.settle({ kind: 'nothing' })
