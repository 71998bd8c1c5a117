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

/** Keys remembered at once. Above it the least recently used is evicted. */
const KEYS_MAX = 100_000

/**
 * Token buckets by key, as the generic cell rate algorithm (ITU-T I.371): per key only the time is kept at
 * which its bucket will be full again, on the monotonic clock. A time in the past means the same as no entry,
 * so unused entries can be dropped.
 */
export class TokenBuckets {
  readonly #rate: Rate
  /** In the order in which the keys were last used. */
  readonly #fullAtMs = new Map<string | number, number>()
  /** How many attempts are under way, by key. */
  readonly #underWay = new Map<string | number, number>()
  /** An iterator before the first key. A new one would walk over all entries deleted since. */
  #leastRecent = this.#fullAtMs.keys()

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
    const wasFullAtMs = this.#fullAtMs.get(key) ?? 0
    let fullAtMs = Math.max(wasFullAtMs, nowMs) + cost * everyMs
    const refused = fullAtMs > emptyAtMs
    if (refused) {
      const indebtedAtMs = Math.min(fullAtMs, emptyAtMs + (debtMsMax ?? 0))
      fullAtMs = debtMsMax === undefined ? wasFullAtMs : Math.max(wasFullAtMs, indebtedAtMs)
    }
    this.#remember(key, fullAtMs)
    return refused ? Math.max(fullAtMs, nowMs) + cost * everyMs - emptyAtMs : 0
  }

  /** Charges tokens afterwards, even more than there are. */
  charge(key: string | number, tokens: number, nowMs = monotonicMs()): void {
    this.#remember(key, Math.max(this.#fullAtMs.get(key) ?? 0, nowMs) + tokens * this.#rate.everyMs)
  }

  /** How many ms until what was charged beyond the burst is paid off; 0 when nothing is. */
  owedMs(key: string | number, nowMs = monotonicMs()): number {
    const { burst, everyMs } = this.#rate
    return Math.max((this.#fullAtMs.get(key) ?? 0) - nowMs - burst * everyMs, 0)
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
    const fullAtMs = Math.max(this.#fullAtMs.get(key) ?? 0, nowMs)
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
  giveBack(key: string | number): void {
    const fullAtMs = this.#fullAtMs.get(key)
    if (fullAtMs !== undefined) this.#fullAtMs.set(key, fullAtMs - this.#rate.everyMs)
  }

  #remember(key: string | number, fullAtMs: number) {
    this.#fullAtMs.delete(key)
    if (this.#fullAtMs.size >= KEYS_MAX) this.#forgetOne()
    this.#fullAtMs.set(key, fullAtMs)
  }

  #forgetOne() {
    const { value } = this.#leastRecent.next()
    if (value !== undefined) this.#fullAtMs.delete(value)
  }
}
