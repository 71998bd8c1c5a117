import { LRUCache } from 'lru-cache'
import { monotonicMs } from '../clock.ts'

/** How much may be taken: `burst` at once, and one more every `everyMs`. */
export interface Rate {
  burst: number
  everyMs: number
  /**
   * By how many ms refused takes may lengthen the wait, so that repeating gains nothing. Without it they do
   * not count.
   */
  debtMsMax?: number
}

/**
 * How long to wait for attempts that are under way: a few, in front of the password hashes, take about as
 * long.
 */
const UNDER_WAY_MS = 2_000

/**
 * Keys in memory. Above it the key that was written longest ago is evicted. With `max` lru-cache allocates
 * room for all at once, per limit.
 */
const KEYS = { maxSize: 100_000, sizeCalculation: () => 1 }

/**
 * Token buckets by key, as the generic cell rate algorithm (ITU-T I.371): per key only the time is kept at
 * which its bucket will be full again, on the monotonic clock. A time in the past means the same as no entry,
 * so unused entries can be dropped.
 */
export class TokenBuckets {
  readonly #rate: Rate
  readonly #fullAtMs = new LRUCache<string | number, number>(KEYS)
  /** How many attempts are under way, by key. */
  readonly #underWay = new Map<string | number, number>()

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /**
   * Takes a token, or a part of one.
   *
   * @param cost how many tokens
   * @returns 0, or how many ms to wait until there is one again; then nothing was taken
   */
  take(key: string | number, nowMs = monotonicMs(), cost = 1): number {
    const { burst, everyMs, debtMsMax } = this.#rate
    const emptyAtMs = nowMs + burst * everyMs
    const wasFullAtMs = this.#fullAtMs.peek(key) ?? 0
    let fullAtMs = Math.max(wasFullAtMs, nowMs) + cost * everyMs
    const refused = fullAtMs > emptyAtMs
    if (refused) {
      const indebtedAtMs = Math.min(fullAtMs, emptyAtMs + (debtMsMax ?? 0))
      fullAtMs = debtMsMax === undefined ? wasFullAtMs : Math.max(wasFullAtMs, indebtedAtMs)
    }
    this.#fullAtMs.set(key, fullAtMs)
    return refused ? Math.max(fullAtMs, nowMs) + cost * everyMs - emptyAtMs : 0
  }

  /** Charges tokens afterwards, even more than there are. */
  charge(key: string | number, tokens: number, nowMs = monotonicMs()): void {
    this.#fullAtMs.set(key, Math.max(this.#fullAtMs.peek(key) ?? 0, nowMs) + tokens * this.#rate.everyMs)
  }

  /** How many ms until charges beyond the burst are paid off; 0 when there are none. */
  owedMs(key: string | number, nowMs = monotonicMs()): number {
    const { burst, everyMs } = this.#rate
    return Math.max((this.#fullAtMs.peek(key) ?? 0) - nowMs - burst * everyMs, 0)
  }

  /** @returns how many ms to wait until there is a token; 0 when there is one now. Takes nothing. */
  waitMs(key: string | number, nowMs = monotonicMs()): number {
    return this.owedMs(key, nowMs - this.#rate.everyMs)
  }

  /**
   * Begins an attempt that may turn out to count, if there is a token besides those of attempts under way. A
   * refusal because of those alone makes no debt.
   *
   * @returns 0, and then `end` must follow; or how many ms to wait
   */
  begin(key: string | number, nowMs = monotonicMs()): number {
    if (this.waitMs(key, nowMs) > 0) return this.take(key, nowMs)
    const underWay = this.#underWay.get(key) ?? 0
    const { burst, everyMs } = this.#rate
    const fullAtMs = Math.max(this.#fullAtMs.peek(key) ?? 0, nowMs)
    if (fullAtMs + (underWay + 1) * everyMs > nowMs + burst * everyMs) return UNDER_WAY_MS
    this.#underWay.set(key, underWay + 1)
    return 0
  }

  /** @param counts whether the attempt takes its token */
  end(key: string | number, counts: boolean): void {
    const underWay = (this.#underWay.get(key) ?? 1) - 1
    if (underWay > 0) this.#underWay.set(key, underWay)
    else this.#underWay.delete(key)
    if (counts) this.charge(key, 1)
  }

  /** Returns a token, for an attempt that did not count. */
  returnToken(key: string | number): void {
    const fullAtMs = this.#fullAtMs.peek(key)
    if (fullAtMs !== undefined) this.#fullAtMs.set(key, fullAtMs - this.#rate.everyMs)
  }
}
