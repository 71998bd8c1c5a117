/**
 * Where polls are parked and woken. One mailbox per account that is polled, in memory only.
 *
 *   enter    A poll begins. From now on the mailbox is kept, and every message committed for it is noted.
 *   park     The poll has read the store, noted the newest `seq` there (`noteNewestSeq`), and found nothing
 *            behind its cursor. In the same tick, with nothing awaited in between, it compares its cursor
 *            with the newest `seq` known, and waits only when there is nothing newer.
 *   deliver  Messages were committed. A poll whose cursor is right before them gets them from memory; any
 *            other poll that is behind is woken to read the store.
 *   wakeBehind
 *            Another node has committed messages, or the reconciler has read the store.
 *   leave    The poll is over. The mailbox stays for a while: the next poll need not read the store to know
 *            that there is nothing new.
 *
 * Why no wake-up is lost: a message committed before the store was read is in what was read. One committed
 * after it finds the mailbox, because `enter` came before the read, and raises its newest `seq`; so `park`
 * sees it. Why no message is skipped: a poll gets a message from memory only when its cursor is the number
 * right before it.
 */
import { type Clock, monotonicMs } from '../clock.ts'
import type { Entry } from '../database/database.ts'
import { Deadlines } from '../deadlines.ts'
import type { SessionRef } from '../presence.ts'
import type { SessionEnd } from '../problems.ts'
import { Mailbox, type ParkablePoll, ParkedPoll } from './mailbox.ts'

/** How long a mailbox stays after its last poll. */
const KEPT_MS = 10_000

/** How often polls with an expired token are looked for, and mailboxes to remove. */
const SWEEP_MS = 1_000

export class Mailboxes {
  /** By the name of the account. */
  readonly #mailboxes = new Map<string, Mailbox>()
  readonly #clock: Clock
  readonly #sweeper: NodeJS.Timeout
  readonly #deadlines = new Deadlines<ParkedPoll>((late) => late.wake({ kind: 'timeout' }))
  #closing = false
  /** How many parked polls a message has woken. */
  wakeUps = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** Whether commits for this account must be delivered here. */
  has(username: string): boolean {
    return this.#mailboxes.has(username)
  }

  /** How many polls are parked. */
  get parkedPolls(): number {
    let count = 0
    for (const { parked } of this.#mailboxes.values()) count += parked.length
    return count
  }

  /** The sessions of all parked polls; one with several polls appears several times. */
  parkedSessions(): SessionRef[] {
    return [...this.#mailboxes.values()].flatMap(({ parked }) => parked.map(({ poll }) => poll.session))
  }

  /** The newest `seq` of the account's inbox, if it is known without reading the store. */
  newestSeq(username: string): number | undefined {
    return this.#mailboxes.get(username)?.newestSeq
  }

  /** Notes a newest `seq` that was read from the store; never moves back. */
  noteNewestSeq(username: string, seq: number): void {
    this.#mailboxes.get(username)?.noteNewestSeq(seq)
  }

  /** Forgets every newest `seq`: commits of other nodes may have been missed. */
  forgetNewestSeqs(): void {
    for (const mailbox of this.#mailboxes.values()) mailbox.newestSeq = undefined
  }

  /** Whether one more parked poll of this session would displace another. */
  isCrowded({ id, username }: SessionRef): boolean {
    return this.#mailboxes.get(username)?.isCrowded(id) ?? false
  }

  enter(username: string): void {
    let mailbox = this.#mailboxes.get(username)
    if (!mailbox) {
      mailbox = new Mailbox()
      this.#mailboxes.set(username, mailbox)
    }
    mailbox.polls += 1
  }

  leave(username: string): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    mailbox.polls -= 1
    mailbox.leftAtMs = monotonicMs()
  }

  /**
   * Parks a poll, or wakes it at once when there is a reason not to wait.
   *
   * @param waitMs at most this long
   */
  park(poll: ParkablePoll, waitMs: number): void {
    const { session, cursor, connection } = poll
    const mailbox = this.#mailboxes.get(session.username)
    if (session.ended) poll.wake({ kind: 'ended', ended: session.ended })
    else if (mailbox?.newestSeq === undefined || mailbox.newestSeq > cursor) poll.wake({ kind: 'read' })
    else if (this.#closing) poll.wake({ kind: 'closing' })
    else if (connection.destroyed) poll.wake({ kind: 'gone' })
    else {
      mailbox.makeRoom(session.id)
      new ParkedPoll(poll, mailbox, this.#deadlines, waitMs)
    }
  }

  /**
   * Delivers messages that were committed for an account. If other nodes have committed in between, their
   * numbers are not contiguous, and the polls read the store.
   */
  deliver(username: string, messages: Entry[]): void {
    const mailbox = this.#mailboxes.get(username)
    const [first, last] = [messages[0], messages.at(-1)]
    if (!mailbox || !first || !last) return
    if (messages.some(({ seq }, index) => seq !== first.seq + index)) {
      this.wakeBehind(username, Math.max(...messages.map(({ seq }) => seq)))
      return
    }
    mailbox.noteNewestSeq(last.seq)
    for (const parked of mailbox.parked) {
      const { cursor } = parked.poll
      if (cursor < last.seq) this.wakeUps += 1
      if (cursor === first.seq - 1) parked.wake({ kind: 'messages', messages })
      else if (cursor < last.seq) parked.wake({ kind: 'read' })
    }
  }

  /** Notes a newest `seq` of another node, and wakes the polls behind it, which then read the store. */
  wakeBehind(username: string, newestSeq: number): void {
    const mailbox = this.#mailboxes.get(username)
    if (!mailbox) return
    mailbox.noteNewestSeq(newestSeq)
    for (const parked of mailbox.parked) {
      if (parked.poll.cursor >= newestSeq) continue
      this.wakeUps += 1
      parked.wake({ kind: 'read' })
    }
  }

  /** Answers the parked polls of an ended session. */
  endSession({ id, username }: SessionRef, ended: SessionEnd): void {
    const parked = this.#mailboxes.get(username)?.ofSession(id) ?? []
    for (const poll of parked) poll.wake({ kind: 'ended', ended })
  }

  /** Answers all polls, and every later one at once. */
  close(): void {
    this.#closing = true
    clearInterval(this.#sweeper)
    for (const { parked } of this.#mailboxes.values())
      for (const poll of parked) poll.wake({ kind: 'closing' })
  }

  #sweep() {
    const nowMs = this.#clock()
    // A loop over entries allocates an array for each, and so makes garbage on an idle server.
    this.#mailboxes.forEach((mailbox, username) => {
      // Not by a timer, which would miss that the clock was set.
      for (const parked of mailbox.parked)
        if (parked.poll.tokenExpiresAtMs <= nowMs) parked.wake({ kind: 'expired' })
      if (mailbox.polls === 0 && monotonicMs() - mailbox.leftAtMs >= KEPT_MS) this.#mailboxes.delete(username)
    })
  }
}
