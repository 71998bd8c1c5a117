import { monotonicMs } from '../clock.ts'
import { Deadlines } from '../deadlines.ts'

/** The limit of names, and of scheduled rechecks. Above it the oldest names are evicted. */
const NAMES_MAX = 100_000

/** Messages of one inbox that may need a hint. */
export interface PendingInbox {
  /** The newest. */
  seq: number
  /** The newest that an online session has had time to acknowledge; 0 for none. */
  overdueSeq: number
}

interface Recheck {
  username: string
  seq: number
  isOverdue: boolean
}

/** The inboxes to check for hints, now or later. */
export class PendingInboxes {
  /** The newest seq, by username. */
  readonly #fresh = new Map<string, number>()
  readonly #overdue = new Map<string, number>()
  /** Keyed by username; those for overdue messages by username and time slot. */
  readonly #rechecks = new Map<string, Recheck>()
  readonly #deadlines = new Deadlines<string>((key) => this.#onDue(key))
  readonly #slotMs: number
  readonly #onReady: () => void

  /**
   * @param slotMs rechecks of one inbox within this time share one check
   * @param onReady called when a recheck is due
   */
  constructor(slotMs: number, onReady: () => void) {
    this.#slotMs = slotMs
    this.#onReady = onReady
  }

  get isEmpty(): boolean {
    return this.#fresh.size + this.#overdue.size === 0
  }

  add(username: string, seq: number): void {
    note(this.#fresh, username, seq)
  }

  /** Adds an inbox again that was taken, but could not be checked. */
  requeue(username: string, { seq, overdueSeq }: PendingInbox): void {
    note(this.#fresh, username, seq)
    if (overdueSeq > 0) note(this.#overdue, username, overdueSeq)
  }

  /** Removes and returns up to `count` inboxes, by username. */
  take(count: number): Map<string, PendingInbox> {
    const pending = new Map<string, PendingInbox>()
    for (const [username, overdueSeq] of this.#overdue) {
      if (pending.size >= count) break
      this.#overdue.delete(username)
      pending.set(username, { seq: overdueSeq, overdueSeq })
    }
    for (const [username, seq] of this.#fresh) {
      if (pending.size >= count) break
      this.#fresh.delete(username)
      const { seq: known = 0, overdueSeq = 0 } = pending.get(username) ?? {}
      pending.set(username, { seq: Math.max(seq, known), overdueSeq })
    }
    return pending
  }

  /** Schedules a check of an inbox. An earlier schedule keeps its time. */
  recheck(username: string, seq: number, inMs: number): void {
    this.#schedule(username, { username, seq, isOverdue: false }, inMs)
  }

  /** Schedules a check after the time to acknowledge, once per slot however many messages come. */
  recheckOverdue(username: string, seq: number, inMs: number): void {
    const slot = Math.ceil((monotonicMs() + inMs) / this.#slotMs)
    // Usernames contain no spaces.
    const key = `${username} ${slot}`
    this.#schedule(key, { username, seq, isOverdue: true }, slot * this.#slotMs - monotonicMs())
  }

  #schedule(key: string, recheck: Recheck, inMs: number) {
    const known = this.#rechecks.get(key)
    if (known) known.seq = Math.max(known.seq, recheck.seq)
    if (known || this.#rechecks.size >= NAMES_MAX) return
    this.#rechecks.set(key, recheck)
    this.#deadlines.add(key, inMs)
  }

  #onDue(key: string) {
    const { username, seq, isOverdue } = this.#rechecks.get(key) as Recheck
    this.#rechecks.delete(key)
    note(isOverdue ? this.#overdue : this.#fresh, username, seq)
    this.#onReady()
  }
}

/** Notes the newest seq of a name. Evicts the oldest name if there are too many. */
function note(names: Map<string, number>, username: string, seq: number) {
  const known = names.get(username)
  if (known === undefined && names.size >= NAMES_MAX) {
    const [oldest = ''] = names.keys()
    names.delete(oldest)
  }
  if (known === undefined || known < seq) names.set(username, seq)
}
