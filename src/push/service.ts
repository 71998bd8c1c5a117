import type { Hint } from './hint.ts'

/** Requests side by side to a service that has answered none yet, and to one that has always answered. */
const SLOTS_FIRST = 2
const SLOTS_MAX = 12

/** So many in a row open the circuit. */
const FAILURES_MAX = 5
const REFUSALS_MAX = 3

/** A service that takes longer on the average is late, with this share of the newest answer. */
const LATE_MS = 2_000
const NEWEST_SHARE = 0.25

/** How often the time doubles for which the circuit stays open. */
const DOUBLINGS_MAX = 4

/** One push service, which is one origin: what waits for it, and how much it can take. */
export class Service {
  readonly origin: string
  /** Hints that may go as soon as there is a slot. */
  ready: Hint[] = []
  /** Hints that are ready, under way, or wait for another try. */
  held = 0
  /** How many requests are under way. */
  active = 0
  /** How many hints it has taken. */
  accepted = 0
  readonly #openMs: number
  readonly #refusedMs: number
  #slots = SLOTS_FIRST
  #failures = 0
  #refusals = 0
  #openUntilMs = 0
  #averageMs = 0

  /**
   * @param openMs how long its circuit stays open at first
   * @param refusedMs the same where it refuses this server
   */
  constructor(origin: string, openMs: number, refusedMs: number) {
    this.origin = origin
    this.#openMs = openMs
    this.#refusedMs = refusedMs
  }

  /**
   * Whether its newest answer, of those that say something of the service itself, was a good one, and its
   * answers come in time: one that takes each hint after a while would hold many slots.
   */
  get isProven(): boolean {
    return this.accepted > 0 && this.#failures === 0 && this.#refusals === 0 && this.#averageMs < LATE_MS
  }

  /** When its circuit closes, for one hint at first. */
  get openUntilMs(): number {
    return this.#openUntilMs
  }

  mayStart(nowMs: number): boolean {
    const isTrying = this.#failures >= FAILURES_MAX || this.#refusals >= REFUSALS_MAX
    return this.ready.length > 0 && nowMs >= this.#openUntilMs && this.active < (isTrying ? 1 : this.#slots)
  }

  /** Whether this server is known to be refused at the moment. */
  isRefusing(nowMs: number): boolean {
    return this.#refusals >= REFUSALS_MAX && nowMs < this.#openUntilMs
  }

  /** So long a try has taken. */
  noteTook(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) * NEWEST_SHARE
  }

  /** @returns whether its circuit closes with this */
  noteAccepted(): boolean {
    this.accepted += 1
    this.#slots = Math.min(this.#slots + 1, SLOTS_MAX)
    this.#refusals = 0
    return this.noteAnswered()
  }

  /** @returns whether its circuit closes with this */
  noteAnswered(): boolean {
    const wasOpen = this.#failures >= FAILURES_MAX
    this.#failures = 0
    return wasOpen
  }

  /** @returns whether its circuit opens with this */
  noteFailed(nowMs: number): boolean {
    this.#failures += 1
    this.#slots = Math.max(Math.floor(this.#slots / 2), 1)
    if (this.#failures < FAILURES_MAX) return false
    const doublings = Math.min(this.#failures - FAILURES_MAX, DOUBLINGS_MAX)
    this.#openUntilMs = nowMs + withJitter(this.#openMs * 2 ** doublings)
    return this.#failures === FAILURES_MAX
  }

  /** @returns whether its circuit opens with this */
  noteRefused(nowMs: number): boolean {
    this.noteAnswered()
    this.#refusals += 1
    if (this.#refusals < REFUSALS_MAX) return false
    this.#openUntilMs = nowMs + withJitter(this.#refusedMs)
    return this.#refusals === REFUSALS_MAX
  }
}

/** Up to half as much again, so that what failed together does not come again together. */
export const withJitter = (ms: number): number => ms * (1 + Math.random() / 2)
