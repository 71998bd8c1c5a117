/**
 * What time it is, in ms since 1970: this machine's, or the one that several nodes have in common. It may be
 * set at any moment, so it is for dates and never for durations.
 */
export type Clock = () => number

/** A clock in whole ms that never steps, for durations. It says nothing about the date. */
export const monotonicMs = (): number => Math.floor(performance.now())

/** A clock that is off by less was adjusted, or read late. */
const STEP_MS_MIN = 100

/** More steps than this are a broken clock, of which only the latest are remembered. */
const STEPS_MAX = 1_000

/**
 * A clock, and a memory of how it was set while this process ran: so that nothing gets old by a step of the
 * clock.
 */
export class ClockHistory {
  readonly #clock: Clock
  /** How far the clock was ahead of the monotonic one, and since when on that, oldest first. */
  readonly #settings: { sinceMs: number; aheadMs: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The clock's time. Read only here, so that each setting is noticed before it dates anything. */
  readonly now: Clock = () => {
    const nowMs = this.#clock()
    const sinceMs = monotonicMs()
    const aheadMs = nowMs - sinceMs
    const latest = this.#settings.at(-1)
    if (latest === undefined || Math.abs(aheadMs - latest.aheadMs) > STEP_MS_MIN) {
      this.#settings.push({ sinceMs, aheadMs })
      if (this.#settings.length > STEPS_MAX) this.#settings.shift()
    }
    return nowMs
  }

  /** Whatever has this date or an earlier one is at least so old, as far as this process can tell. */
  oldBeforeMs(ageMs: number): number {
    return Math.min(this.now() - ageMs, ...this.#readings(ageMs))
  }

  /** Whatever has a later date got it from a clock that was wrong, and is older than this. */
  wrongAfterMs(ageMs: number): number {
    return Math.max(this.now() + ageMs, ...this.#readings(ageMs))
  }

  /** What the clock said at the beginning and at the end of each setting in the last so many ms. */
  #readings(lastMs: number): number[] {
    const untilMs = monotonicMs()
    return this.#settings.flatMap(({ sinceMs, aheadMs }, index) => {
      const endMs = this.#settings[index + 1]?.sinceMs ?? untilMs
      if (endMs <= untilMs - lastMs) return []
      return [Math.max(sinceMs, untilMs - lastMs) + aheadMs, endMs + aheadMs]
    })
  }
}

let last = { ms: 0, text: new Date(0).toISOString() }

/**
 * An instant as clients get it: RFC 3339, in UTC, with milliseconds. The last one is remembered, because
 * messages that come together share theirs, and to write it takes 0.5 µs.
 *
 * @param ms since 1970
 */
export function timestamp(ms: number): string {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() }
  return last.text
}
