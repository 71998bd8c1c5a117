/** A timer that is this late means that the device was suspended, or the tab frozen. */
const LATE_MS = 10_000
const TICK_MS = 5_000

const PAUSE_FIRST_MS = 1_000
const PAUSE_MAX_MS = 60_000
/** Random time added to the server's `Retry-After`, so its clients do not all return at once. */
const SPREAD_MS = 1_000

/** Interrupts waits: on demand, when the network is back, and after the device has slept. */
export class Alarm {
  readonly #listeners = new Set<(final: boolean) => void>()

  /** @param final ends also waits that the server asked for, because the session has ended */
  ring(final = false) {
    for (const listener of [...this.#listeners]) listener(final)
  }

  /**
   * Calls the listener when it rings, when the network is back, and after the device has slept: older
   * connections may be silently dead.
   *
   * @returns removes the listener
   */
  on(listener: (final: boolean) => void): () => void {
    const act = () => listener(false)
    let tickedAtMs = Date.now()
    // The clock of timers may stop while the device sleeps. The wall clock does not.
    const ticks = setInterval(() => {
      const lateMs = Date.now() - tickedAtMs - TICK_MS
      tickedAtMs = Date.now()
      if (lateMs > LATE_MS) act()
    }, TICK_MS)
    this.#listeners.add(listener)
    events.addEventListener?.('online', act)
    return () => {
      clearInterval(ticks)
      this.#listeners.delete(listener)
      events.removeEventListener?.('online', act)
    }
  }
}

/** Browsers have global events; Node and React Native do not. */
const events: {
  addEventListener?: (name: 'online', listener: () => void) => void
  removeEventListener?: (name: 'online', listener: () => void) => void
} = globalThis as object

/**
 * How long to wait before the next attempt.
 *
 * @param failures the number of failed attempts, at least 1
 * @param retryAfterMs the server's `Retry-After`; undefined and 0 leave the pause to us, so it is never 0
 */
export function pauseMs(failures: number, retryAfterMs: number | undefined): number {
  if (retryAfterMs) return retryAfterMs + Math.random() * SPREAD_MS
  const longestMs = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (failures - 1))
  return (longestMs / 2) * (1 + Math.random())
}

/**
 * Waits. Resolves early when the signal aborts.
 *
 * @param isRequested by the server: only a final alarm ends it early
 */
export function pause(
  ms: number,
  isRequested: boolean,
  { alarm, signal }: { alarm: Alarm; signal: AbortSignal | undefined },
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stop()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    const stop = alarm.on((final) => {
      if (final || !isRequested) end()
    })
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })
}

/**
 * A controller that the signal also aborts. Call `unlink` when done, since the signal may live for months.
 */
export function linkedController(signal: AbortSignal | undefined) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  signal?.addEventListener('abort', abort)
  if (signal?.aborted) abort()
  return { controller, unlink: () => signal?.removeEventListener('abort', abort) }
}

/** Signals of React Native have no reason. */
export function throwIfAborted(signal: AbortSignal | undefined) {
  if (!signal?.aborted) return
  throw signal.reason ?? Object.assign(new Error('This operation was aborted.'), { name: 'AbortError' })
}
