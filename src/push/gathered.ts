import { monotonicMs } from '../clock.ts'
import { Deadlines } from '../inbox/deadlines.ts'

/** Names in memory, and looks that are to come. Above it the oldest of the names drop out. */
const NAMES_MAX = 100_000

/** What is to be looked at: messages of one inbox. */
export interface Wanted {
  /** The newest of them. */
  seq: number
  /** The newest of those for which there was time to acknowledge; 0 when there is none. */
  lateSeq: number
}

interface Plan {
  username: string
  seq: number
  isLate: boolean
}

/** The inboxes that are to be looked at, now or later. */
export class Gathered {
  /** By name, the newest number. */
  readonly #fresh = new Map<string, number>()
  readonly #late = new Map<string, number>()
  /** By name and, where it may be looked at several times, by the time. */
  readonly #plans = new Map<string, Plan>()
  readonly #deadlines = new Deadlines<string>((key) => this.#carryOut(key))
  readonly #slotMs: number
  readonly #onReady: () => void

  /**
   * @param slotMs what is planned for the same time, as exactly as this, shares a look
   * @param onReady called when a plan has come due
   */
  constructor(slotMs: number, onReady: () => void) {
    this.#slotMs = slotMs
    this.#onReady = onReady
  }

  get isEmpty(): boolean {
    return this.#fresh.size + this.#late.size === 0
  }

  add(username: string, seq: number): void {
    note(this.#fresh, username, seq)
  }

  putBack(username: string, { seq, lateSeq }: Wanted): void {
    note(this.#fresh, username, seq)
    if (lateSeq > 0) note(this.#late, username, lateSeq)
  }

  /** Takes so many, or about as many, from those that have gathered, by name. */
  take(count: number): Map<string, Wanted> {
    const wanted = new Map<string, Wanted>()
    for (const [username, lateSeq] of this.#late) {
      if (wanted.size >= count) break
      this.#late.delete(username)
      wanted.set(username, { seq: lateSeq, lateSeq })
    }
    for (const [username, seq] of this.#fresh) {
      if (wanted.size >= count) break
      this.#fresh.delete(username)
      const { seq: known = 0, lateSeq = 0 } = wanted.get(username) ?? {}
      wanted.set(username, { seq: Math.max(seq, known), lateSeq })
    }
    return wanted
  }

  /** Has an inbox looked at again. Planned before, that time holds. */
  plan(username: string, seq: number, inMs: number): void {
    this.#plan(username, { username, seq, isLate: false }, inMs)
  }

  /** Has it looked at when there was time to acknowledge: once a slot, however many messages come. */
  planLate(username: string, seq: number, inMs: number): void {
    const slot = Math.ceil((monotonicMs() + inMs) / this.#slotMs)
    // No name has a space in it.
    const key = `${username} ${slot}`
    this.#plan(key, { username, seq, isLate: true }, slot * this.#slotMs - monotonicMs())
  }

  #plan(key: string, plan: Plan, inMs: number) {
    const known = this.#plans.get(key)
    if (known) known.seq = Math.max(known.seq, plan.seq)
    if (known || this.#plans.size >= NAMES_MAX) return
    this.#plans.set(key, plan)
    this.#deadlines.add(key, inMs)
  }

  #carryOut(key: string) {
    const { username, seq, isLate } = this.#plans.get(key) as Plan
    this.#plans.delete(key)
    note(isLate ? this.#late : this.#fresh, username, seq)
    this.#onReady()
  }
}

/** Notes the newest number of a name. Where there are too many, the oldest name drops out. */
function note(names: Map<string, number>, username: string, seq: number) {
  const known = names.get(username)
  if (known === undefined && names.size >= NAMES_MAX) {
    const [oldest = ''] = names.keys()
    names.delete(oldest)
  }
  if (known === undefined || known < seq) names.set(username, seq)
}
