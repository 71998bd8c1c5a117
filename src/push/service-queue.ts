import type { Hint } from './hint.ts'

/** Concurrent requests to a new service, and to one that has always answered. */
const SLOTS_FIRST = 2
const SLOTS_MAX = 12

/** This many in a row open the circuit. */
const FAILURES_MAX = 5
const REFUSALS_MAX = 3

/** A service with a longer average response time is slow. The average is exponentially weighted. */
const SLOW_MS = 2_000
const NEWEST_SHARE = 0.25

/** How often the open time of the circuit doubles. */
const DOUBLINGS_MAX = 4

/** The queue and the circuit of one push service (an origin): which hints wait, and how many may be sent. */
export class ServiceQueue {
  readonly origin: string
  /** Hints that wait only for a slot. */
  ready: Hint[] = []
  /** How many hints are ready, under way, or wait for another attempt. */
  held = 0
  /** How many requests are under way. */
  active = 0
  /** How many hints the service has accepted. */
  accepted = 0
  readonly #openMs: number
  readonly #refusedMs: number
  #slots = SLOTS_FIRST
  #failures = 0
  #refusals = 0
  #openUntilMs = 0
  #averageMs = 0

  /**
   * @param openMs how long the circuit stays open at first
   * @param refusedMs how long it stays open when the service refuses this server
   */
  constructor(origin: string, openMs: number, refusedMs: number) {
    this.origin = origin
    this.#openMs = openMs
    this.#refusedMs = refusedMs
  }

  /**
   * Whether the service has accepted hints, its newest response was no failure, and it responds in time: a
   * slow one would occupy many slots.
   */
  get isProven(): boolean {
    return this.accepted > 0 && this.#failures === 0 && this.#refusals === 0 && this.#averageMs < SLOW_MS
  }

  /** When the circuit closes, for one hint at first. */
  get openUntilMs(): number {
    return this.#openUntilMs
  }

  mayStart(nowMs: number): boolean {
    const isProbing = this.#failures >= FAILURES_MAX || this.#refusals >= REFUSALS_MAX
    return this.ready.length > 0 && nowMs >= this.#openUntilMs && this.active < (isProbing ? 1 : this.#slots)
  }

  /** Whether the service is known to refuse this server at the moment. */
  isRefusing(nowMs: number): boolean {
    return this.#refusals >= REFUSALS_MAX && nowMs < this.#openUntilMs
  }

  /** Notes the duration of an attempt. */
  noteDuration(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) * NEWEST_SHARE
  }

  /** @returns whether this closes the circuit */
  noteAccepted(): boolean {
    this.accepted += 1
    this.#slots = Math.min(this.#slots + 1, SLOTS_MAX)
    this.#refusals = 0
    return this.noteAnswered()
  }

  /** @returns whether this closes the circuit */
  noteAnswered(): boolean {
    const wasOpen = this.#failures >= FAILURES_MAX
    this.#failures = 0
    return wasOpen
  }

  /** @returns whether this opens the circuit */
  noteFailed(nowMs: number): boolean {
    this.#failures += 1
    this.#slots = Math.max(Math.floor(this.#slots / 2), 1)
    if (this.#failures < FAILURES_MAX) return false
    const doublings = Math.min(this.#failures - FAILURES_MAX, DOUBLINGS_MAX)
    this.#openUntilMs = nowMs + withJitter(this.#openMs * 2 ** doublings)
    return this.#failures === FAILURES_MAX
  }

  /** @returns whether this opens the circuit */
  noteRefused(nowMs: number): boolean {
    this.noteAnswered()
    this.#refusals += 1
    if (this.#refusals < REFUSALS_MAX) return false
    this.#openUntilMs = nowMs + withJitter(this.#refusedMs)
    return this.#refusals === REFUSALS_MAX
  }
}

/** Adds up to half, so hints that failed together are not retried together. */
export const withJitter = (ms: number): number => ms * (1 + Math.random() / 2)
