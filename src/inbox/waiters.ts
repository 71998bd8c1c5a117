/**
 * Who waits for what, and who is online. One mailbox for each account that somebody polls, in memory alone.
 *
 *   enter    A poll begins. From now on the mailbox is kept, and every message committed for it is noted.
 *   learn    The poll has read the store, and tells the newest `seq` that it saw there.
 *   park     The poll found nothing behind its cursor. In the same tick, with nothing awaited in between, it
 *            compares its cursor with the newest `seq` known, and waits only when there is nothing newer.
 *   deliver  A commit brought messages. A poll that stands right before them gets them from memory; any other
 *            poll that is behind is told to look into the store.
 *   leave    The poll is over. The mailbox stays for the grace time: it is what "online" means.
 *
 * Why no wake-up is lost: a message committed before the store was read is in what was read. One committed
 * after it finds the mailbox, because `enter` came before the read, and raises its newest `seq`; so `park`
 * sees it. Why no message is skipped: a poll gets a message from memory only when its cursor is the number
 * right before it.
 */
import type { Message } from '../database/database.ts'

/**
 * Polls that wait for one session at once: browser tabs, a phone that reconnects. Above it the oldest is
 * answered.
 */
const POLLS_PER_SESSION_MAX = 8

/** How often mailboxes that nobody polls any more are looked for. */
const SWEEP_MS = 1_000

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

/** One poll that waits. There may be tens of thousands, so it holds little and makes few closures. */
class Waiter {
  readonly poller: Poller
  readonly cursor: number
  readonly #mailbox: Mailbox
  readonly #connection: Connection
  readonly #timer: NodeJS.Timeout
  readonly #resolve: (end: WaitEnd) => void
  readonly #onGone = () => this.settle({ kind: 'gone' })

  constructor(
    poller: Poller,
    cursor: number,
    mailbox: Mailbox,
    waitMs: number,
    connection: Connection,
    resolve: (end: WaitEnd) => void,
  ) {
    this.poller = poller
    this.cursor = cursor
    this.#mailbox = mailbox
    this.#connection = connection
    this.#timer = setTimeout(expire, waitMs, this)
    this.#resolve = resolve
    connection.on('close', this.#onGone)
    mailbox.waiters = [...mailbox.waiters, this]
  }

  settle(end: WaitEnd) {
    clearTimeout(this.#timer)
    // The connection outlives the poll, and must not collect listeners.
    this.#connection.off('close', this.#onGone)
    // By identity: a poll that ends late must not take the place of a newer one.
    this.#mailbox.waiters = this.#mailbox.waiters.filter((waiter) => waiter !== this)
    this.#resolve(end)
  }
}

const expire = (waiter: Waiter) => waiter.settle({ kind: 'nothing' })

interface Mailbox {
  /**
   * Exact while the mailbox lives, once a poll has read the store or a message came; undefined until then.
   */
  newestSeq: number | undefined
  /** In order of arrival. Replaced and never changed, so that whoever goes through it may settle them. */
  waiters: readonly Waiter[]
  /** Polls between `enter` and `leave`, parked ones among them. */
  polls: number
  /** When the last poll of each session ended, by its id; undefined until one has. */
  pollEndsMs: Map<string, number> | undefined
}

export class Waiters {
  readonly #mailboxes = new Map<string, Mailbox>()
  readonly #graceMs: number
  readonly #onOffline: (username: string, lastSeenAtMs: number) => void
  readonly #sweeper: NodeJS.Timeout
  #closing = false

  /**
   * @param graceMs how long after its last poll an account still counts as online
   * @param onOffline called when it no longer does, within a second
   */
  constructor(graceMs: number, onOffline: (username: string, lastSeenAtMs: number) => void) {
    this.#graceMs = graceMs
    this.#onOffline = onOffline
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** Whether a poll of this account is under way, or ended less than the grace time ago. */
  isOnline(username: string): boolean {
    const mailbox = this.#mailboxes.get(username)
    return mailbox !== undefined && this.#isOnline(mailbox)
  }

  /** Whether what is committed for this account must be told here. */
  hasMailbox(username: string): boolean {
    return this.#mailboxes.has(username)
  }

  /** When a poll of this account was last under way, where this process remembers. */
  lastSeenAtMs(username: string): number | undefined {
    const mailbox = this.#mailboxes.get(username)
    return mailbox && (mailbox.polls > 0 ? Date.now() : lastEndMs(mailbox))
  }

  /** The newest `seq` of the account's inbox, where it is known without a look into the store. */
  newestSeq(username: string): number | undefined {
    return this.#mailboxes.get(username)?.newestSeq
  }

  enter({ username }: Poller): void {
    let mailbox = this.#mailboxes.get(username)
    if (!mailbox) {
      mailbox = { newestSeq: undefined, waiters: [], polls: 0, pollEndsMs: undefined }
      this.#mailboxes.set(username, mailbox)
    }
    mailbox.polls += 1
  }

  /** Notes a newest `seq` that was read from the store; never moves back. */
  learn(username: string, newestSeq: number): void {
    const mailbox = this.#mailboxes.get(username)
    if (mailbox) mailbox.newestSeq = Math.max(mailbox.newestSeq ?? 0, newestSeq)
  }

  /**
   * Waits for what follows the cursor.
   *
   * @param waitMs at most this long
   */
  park(poller: Poller, cursor: number, waitMs: number, connection: Connection): Promise<WaitEnd> {
    const mailbox = this.#mailboxes.get(poller.username)
    if (poller.ended) return Promise.resolve({ kind: 'ended' })
    if (mailbox?.newestSeq === undefined || mailbox.newestSeq > cursor)
      return Promise.resolve({ kind: 'look' })
    if (this.#closing) return Promise.resolve({ kind: 'closing' })
    if (connection.destroyed) return Promise.resolve({ kind: 'gone' })

    makeRoom(mailbox, poller)
    return new Promise((resolve) => {
      new Waiter(poller, cursor, mailbox, waitMs, connection, resolve)
    })
  }

  leave({ id, username, ended }: Poller): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    mailbox.polls -= 1
    if (ended) return
    mailbox.pollEndsMs ??= new Map()
    mailbox.pollEndsMs.set(id, Date.now())
  }

  /** Hands over what was committed for an account: its messages with consecutive numbers, in order. */
  deliver(username: string, messages: Message[]): void {
    const mailbox = this.#mailboxes.get(username)
    const [first, last] = [messages[0], messages.at(-1)]
    if (!mailbox || !first || !last) return
    mailbox.newestSeq = Math.max(mailbox.newestSeq ?? 0, last.seq)
    for (const waiter of mailbox.waiters) {
      if (waiter.cursor === first.seq - 1) waiter.settle({ kind: 'messages', messages })
      else if (waiter.cursor < last.seq) waiter.settle({ kind: 'look' })
    }
  }

  /** Answers the polls of a session that was ended; the account is not online through it any more. */
  endSession({ id, username }: Pick<Poller, 'id' | 'username'>): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    for (const waiter of ofSession(mailbox, id)) waiter.settle({ kind: 'ended' })
    mailbox.pollEndsMs?.delete(id)
  }

  /** Answers all polls, and every later one at once. */
  close(): void {
    this.#closing = true
    clearInterval(this.#sweeper)
    for (const [username, mailbox] of this.#mailboxes) {
      const lastSeenAtMs = this.lastSeenAtMs(username)
      if (lastSeenAtMs !== undefined) this.#onOffline(username, lastSeenAtMs)
      for (const waiter of mailbox.waiters) waiter.settle({ kind: 'closing' })
    }
  }

  #isOnline(mailbox: Mailbox): boolean {
    return mailbox.polls > 0 || Date.now() - (lastEndMs(mailbox) ?? Number.NEGATIVE_INFINITY) < this.#graceMs
  }

  #sweep() {
    for (const [username, mailbox] of this.#mailboxes) {
      if (this.#isOnline(mailbox)) continue
      this.#mailboxes.delete(username)
      const lastSeenAtMs = lastEndMs(mailbox)
      if (lastSeenAtMs !== undefined) this.#onOffline(username, lastSeenAtMs)
    }
  }
}

const ofSession = ({ waiters }: Mailbox, id: string) => waiters.filter(({ poller }) => poller.id === id)

function makeRoom(mailbox: Mailbox, { id }: Poller) {
  if (mailbox.waiters.length < POLLS_PER_SESSION_MAX) return
  const waiters = ofSession(mailbox, id)
  if (waiters.length >= POLLS_PER_SESSION_MAX) waiters[0]?.settle({ kind: 'displaced' })
}

/** When a poll last ended, of the sessions that are alive. */
const lastEndMs = ({ pollEndsMs }: Mailbox): number | undefined =>
  pollEndsMs && pollEndsMs.size > 0 ? Math.max(...pollEndsMs.values()) : undefined
