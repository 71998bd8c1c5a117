/**
 * Parked polls, and which accounts are online. One mailbox per account that is polled, in memory only.
 *
 *   enter    A poll begins. From now on the mailbox is kept, and every message committed for it is noted.
 *   accept   It is not refused: from now on its account is online. A poll that is `away` is never accepted.
 *   learn    The poll has read the store, and reports the newest `seq` there.
 *   park     The poll found nothing behind its cursor. In the same tick, with nothing awaited in between, it
 *            compares its cursor with the newest `seq` known, and waits only when there is nothing newer.
 *   deliver  Messages were committed. A poll whose cursor is right before them gets them from memory; any
 *            other poll that is behind is woken to read the store.
 *   tell     Another node has committed messages, or the reconciler has read the store.
 *   leave    The poll is over. The mailbox stays for the grace time: it is what "online" means.
 *
 * Why no wake-up is lost: a message committed before the store was read is in what was read. One committed
 * after it finds the mailbox, because `enter` came before the read, and raises its newest `seq`; so `park`
 * sees it. Why no message is skipped: a poll gets a message from memory only when its cursor is the number
 * right before it.
 */
import { type Clock, monotonicMs } from '../clock.ts'
import type { StoredMessage } from '../database/database.ts'
import { Deadlines } from './deadlines.ts'
import { isCrowded, lastEndMs, type Mailbox, makeRoom, newMailbox, ofSession, presentIds } from './mailbox.ts'
import { type Poller, Waiter, type Waiting } from './waiter.ts'

/** How often polls with an expired token are looked for, and mailboxes without polls. */
const SWEEP_MS = 1_000

export interface WaitersEvents {
  /** A poll is accepted. */
  onEnter: (poller: Poller) => void
  /** Within a second after an account is no longer online, or one of its sessions, if that is given. */
  onOffline: (username: string, lastSeenAtMs: number, sessionId?: string) => void
}

export class Waiters {
  readonly #mailboxes = new Map<string, Mailbox>()
  readonly #graceMs: number
  readonly #clock: Clock
  readonly #events: WaitersEvents
  readonly #sweeper: NodeJS.Timeout
  readonly #deadlines = new Deadlines<Waiter>((waiter) => waiter.settle({ kind: 'nothing' }))
  #closing = false
  /** How many parked polls a message has woken. */
  wakeUps = 0

  /** @param graceMs how long after its last poll an account still counts as online */
  constructor(graceMs: number, clock: Clock, events: WaitersEvents) {
    this.#graceMs = graceMs
    this.#clock = clock
    this.#events = events
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** Whether a poll of this account is under way that is not away, or ended less than the grace time ago. */
  isOnline(username: string): boolean {
    const mailbox = this.#mailboxes.get(username)
    return mailbox !== undefined && this.#isOnline(mailbox)
  }

  /** Whether commits for this account must be delivered here. */
  hasMailbox(username: string): boolean {
    return this.#mailboxes.has(username)
  }

  /** When a poll of this account, or session, was last under way, if this process knows. */
  lastSeenAtMs(username: string, sessionId?: string): number | undefined {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return undefined
    if (sessionId === undefined) return mailbox.accepted > 0 ? this.#clock() : mailbox.lastSeenAtMs
    return presentIds(mailbox).includes(sessionId) ? this.#clock() : mailbox.pollEnds?.get(sessionId)?.dateMs
  }

  /** The newest `seq` of the account's inbox, if it is known without reading the store. */
  newestSeq(username: string): number | undefined {
    return this.#mailboxes.get(username)?.newestSeq
  }

  /** Whether one more parked poll of this session would displace another. */
  isCrowded(poller: Poller): boolean {
    const mailbox = this.#mailboxes.get(poller.username)
    return mailbox !== undefined && isCrowded(mailbox, poller)
  }

  enter({ username }: Poller): void {
    let mailbox = this.#mailboxes.get(username)
    if (!mailbox) {
      mailbox = newMailbox()
      this.#mailboxes.set(username, mailbox)
    }
    mailbox.polls += 1
  }

  accept(poller: Poller): void {
    this.#events.onEnter(poller)
    const mailbox = this.#mailboxes.get(poller.username)
    if (mailbox) mailbox.accepted += 1
  }

  /** Notes a newest `seq` that was read from the store; never moves back. */
  learn(username: string, newestSeq: number): void {
    const mailbox = this.#mailboxes.get(username)
    if (mailbox) mailbox.newestSeq = Math.max(mailbox.newestSeq ?? 0, newestSeq)
  }

  /**
   * Parks a poll, or wakes it at once when there is a reason not to wait.
   *
   * @param waitMs at most this long
   */
  park(waiting: Waiting, waitMs: number): void {
    const { poller, cursor, connection } = waiting
    const mailbox = this.#mailboxes.get(poller.username)
    if (poller.ended) waiting.wake({ kind: 'ended', ended: poller.ended })
    else if (mailbox?.newestSeq === undefined || mailbox.newestSeq > cursor) waiting.wake({ kind: 'look' })
    else if (this.#closing) waiting.wake({ kind: 'closing' })
    else if (connection.destroyed) waiting.wake({ kind: 'gone' })
    else {
      makeRoom(mailbox, poller)
      new Waiter(waiting, mailbox, this.#deadlines, waitMs)
    }
  }

  /** @param accepted whether `accept` was called for it */
  leave({ id, username, ended }: Poller, accepted: boolean): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    mailbox.polls -= 1
    if (!accepted) return
    mailbox.accepted -= 1
    const dateMs = this.#clock()
    mailbox.lastSeenAtMs = dateMs
    if (ended) return
    mailbox.pollEnds ??= new Map()
    mailbox.pollEnds.set(id, { atMs: monotonicMs(), dateMs })
  }

  /**
   * Delivers what was committed for an account. If other nodes have committed in between, the numbers are not
   * contiguous, and the polls read the store.
   */
  deliver(username: string, messages: StoredMessage[]): void {
    const mailbox = this.#mailboxes.get(username)
    const [first, last] = [messages[0], messages.at(-1)]
    if (!mailbox || !first || !last) return
    if (messages.some(({ seq }, index) => seq !== first.seq + index)) {
      this.tell(username, Math.max(...messages.map(({ seq }) => seq)))
      return
    }
    mailbox.newestSeq = Math.max(mailbox.newestSeq ?? 0, last.seq)
    for (const waiter of mailbox.waiters) {
      const { cursor } = waiter.waiting
      if (cursor < last.seq) this.wakeUps += 1
      if (cursor === first.seq - 1) waiter.settle({ kind: 'messages', messages })
      else if (cursor < last.seq) waiter.settle({ kind: 'look' })
    }
  }

  /** Notes a newest `seq` of another node, and wakes polls that are behind it to read the store. */
  tell(username: string, newestSeq: number): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    mailbox.newestSeq = Math.max(mailbox.newestSeq ?? 0, newestSeq)
    for (const waiter of mailbox.waiters) {
      if (waiter.waiting.cursor >= newestSeq) continue
      this.wakeUps += 1
      waiter.settle({ kind: 'look' })
    }
  }

  /** Forgets every newest `seq`: commits of other nodes may have been missed. */
  forgetNewest(): void {
    for (const mailbox of this.#mailboxes.values()) mailbox.newestSeq = undefined
  }

  /** The sessions of all parked polls; one with several polls appears several times. */
  parked(): Poller[] {
    return [...this.#mailboxes.values()].flatMap(({ waiters }) =>
      waiters.map(({ waiting }) => waiting.poller),
    )
  }

  /** How many accounts are online here, and how many polls are parked. */
  countPresent(): { online: number; parkedPolls: number } {
    const mailboxes = [...this.#mailboxes.values()]
    const online = mailboxes.filter((mailbox) => this.#isOnline(mailbox)).length
    return { online, parkedPolls: mailboxes.reduce((sum, { waiters }) => sum + waiters.length, 0) }
  }

  /** Whether a poll of this session is under way that is not away, or ended less than the grace time ago. */
  isPresent({ id, username }: Pick<Poller, 'id' | 'username'>): boolean {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return false
    const waiting = presentIds(mailbox)
    // A poll that is not parked is reading the store; it may be of this session.
    if (mailbox.accepted > waiting.length || waiting.includes(id)) return true
    return this.#isRecent(mailbox.pollEnds?.get(id)?.atMs)
  }

  /** Answers the polls of an ended session, which no longer makes its account online. */
  endSession({ id, username }: Pick<Poller, 'id' | 'username'>, ended: Poller['ended'] = true): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    for (const waiter of ofSession(mailbox, id)) waiter.settle({ kind: 'ended', ended })
    mailbox.pollEnds?.delete(id)
  }

  /** Answers all polls, and every later one at once. */
  close(): void {
    this.#closing = true
    clearInterval(this.#sweeper)
    for (const [username, mailbox] of this.#mailboxes) {
      const sessionIds = new Set([...presentIds(mailbox), ...(mailbox.pollEnds?.keys() ?? [])])
      for (const id of [undefined, ...sessionIds]) {
        const lastSeenAtMs = this.lastSeenAtMs(username, id)
        if (lastSeenAtMs !== undefined) this.#events.onOffline(username, lastSeenAtMs, id)
      }
      for (const waiter of mailbox.waiters) waiter.settle({ kind: 'closing' })
    }
  }

  #isOnline(mailbox: Mailbox): boolean {
    return mailbox.accepted > 0 || this.#isRecent(lastEndMs(mailbox))
  }

  #isRecent(atMs = Number.NEGATIVE_INFINITY): boolean {
    return monotonicMs() - atMs < this.#graceMs
  }

  #sweep() {
    const nowMs = this.#clock()
    // A loop over entries allocates an array for each, and so makes garbage on an idle server.
    this.#mailboxes.forEach((mailbox, username) => {
      // Not by a timer, which would miss that the clock was set.
      for (const waiter of mailbox.waiters)
        if (waiter.waiting.tokenExpiresAtMs <= nowMs) waiter.settle({ kind: 'expired' })
      mailbox.pollEnds?.forEach(({ atMs, dateMs }, id) => {
        if (this.#isRecent(atMs) || presentIds(mailbox).includes(id)) return
        mailbox.pollEnds?.delete(id)
        this.#events.onOffline(username, dateMs, id)
      })
      if (this.#isOnline(mailbox)) return
      if (mailbox.polls === 0) this.#mailboxes.delete(username)
      const { lastSeenAtMs } = mailbox
      if (lastSeenAtMs === undefined) return
      // From now on the store has it, even while polls with `away` continue.
      mailbox.lastSeenAtMs = undefined
      this.#events.onOffline(username, lastSeenAtMs)
    })
  }
}
