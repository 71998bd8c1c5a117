/** How much may be taken: `burst` at once, and one more every `everyMs`. */
export interface Rate {
  burst: number
  everyMs: number
}

/**
 * Keys remembered at once. A key whose bucket is full again says nothing, so what counts are the busy ones.
 */
const KEYS_MAX = 100_000

/**
 * Token buckets by key, as the generic cell rate algorithm (ITU-T I.371): of each key only the time is kept
 * at which its bucket will be full again. A time in the past means the same as no entry, so old entries can
 * be dropped freely.
 */
export class TokenBuckets {
  readonly #rate: Rate
  readonly #fullAtMs = new Map<string | number, number>()

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /**
   * Takes a token.
   *
   * @returns 0, or how many ms to wait until there is one again; then nothing was taken
   */
  take(key: string | number, nowMs = Date.now()): number {
    const { burst, everyMs } = this.#rate
    const fullAtMs = Math.max(this.#fullAtMs.get(key) ?? 0, nowMs) + everyMs
    const waitMs = fullAtMs - nowMs - burst * everyMs
    if (waitMs > 0) return waitMs
    if (this.#fullAtMs.size >= KEYS_MAX && !this.#fullAtMs.has(key)) this.#forget(nowMs)
    this.#fullAtMs.set(key, fullAtMs)
    return 0
  }

  /** Puts a token back, for what turned out not to count. */
  giveBack(key: string | number): void {
    const fullAtMs = this.#fullAtMs.get(key)
    if (fullAtMs !== undefined) this.#fullAtMs.set(key, fullAtMs - this.#rate.everyMs)
  }

  #forget(nowMs: number) {
    for (const [key, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(key)
    // All of them busy: the one that has been known for longest makes room.
    const [oldest] = this.#fullAtMs.keys()
    if (this.#fullAtMs.size >= KEYS_MAX && oldest !== undefined) this.#fullAtMs.delete(oldest)
  }
}
