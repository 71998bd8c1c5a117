import type { Deadlines } from '../deadlines.ts'
import type { Poll, WaitEnd } from './poll.ts'

/** Parked polls per session: browser tabs, a phone that reconnects. Above it the oldest is answered. */
const POLLS_PER_SESSION_MAX = 8

/** The part of a poll that parking uses. */
export type ParkablePoll = Pick<Poll, 'session' | 'cursor' | 'tokenExpiresAtMs' | 'connection' | 'wake'>

/** The polls of one account, parked ones among them. */
export class Mailbox {
  /**
   * Exact while the mailbox lives, once a poll has read the store or a message came; undefined until then.
   */
  newestSeq: number | undefined = undefined
  /** Polls between `enter` and `leave`. */
  polls = 0
  /** When the last of them left, on the monotonic clock. */
  leftAtMs = 0
  /** In order of arrival. Replaced instead of modified, so that a loop over it may wake its items. */
  parked: readonly ParkedPoll[] = []

  /** Never moves back. */
  noteNewestSeq(seq: number): void {
    this.newestSeq = Math.max(this.newestSeq ?? 0, seq)
  }

  /** The parked polls of a session. */
  ofSession(id: string): ParkedPoll[] {
    return this.parked.filter(({ poll }) => poll.session.id === id)
  }

  /** Whether a session has the maximum of parked polls. */
  isCrowded(id: string): boolean {
    return this.parked.length >= POLLS_PER_SESSION_MAX && this.ofSession(id).length >= POLLS_PER_SESSION_MAX
  }

  /** Answers the oldest parked poll of a session that has the maximum. */
  makeRoom(id: string): void {
    if (this.isCrowded(id)) this.ofSession(id)[0]?.wake({ kind: 'displaced' })
  }
}

/** A poll while it is parked. There may be tens of thousands, so it holds little. */
export class ParkedPoll {
  readonly poll: ParkablePoll
  readonly #mailbox: Mailbox
  readonly #onGone = () => this.wake({ kind: 'gone' })
  readonly #deadline: Set<ParkedPoll>

  /** @param waitMs at most this long */
  constructor(poll: ParkablePoll, mailbox: Mailbox, deadlines: Deadlines<ParkedPoll>, waitMs: number) {
    this.poll = poll
    this.#mailbox = mailbox
    this.#deadline = deadlines.add(this, waitMs)
    poll.connection.on('close', this.#onGone)
    // Not spread: an array built step by step allocates room for 17.
    mailbox.parked = mailbox.parked.concat(this)
  }

  /** Ends the wait; does nothing when it has ended. */
  wake(end: WaitEnd): void {
    // Only once, whatever the callback causes.
    if (!this.#deadline.delete(this)) return
    // The connection outlives the poll and must not accumulate listeners.
    this.poll.connection.off('close', this.#onGone)
    // By identity: a poll that ends late must not replace a newer one.
    this.#mailbox.parked = this.#mailbox.parked.filter((parked) => parked !== this)
    this.poll.wake(end)
  }
}
