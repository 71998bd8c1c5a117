/** A timer that is this late has slept: the device was suspended, or the tab frozen. */
const LATE_MS = 10_000
const TICK_MS = 5_000

const PAUSE_FIRST_MS = 1_000
const PAUSE_MAX_MS = 60_000
/** On top of what the server asks for, so that not all its clients come back in one moment. */
const SPREAD_MS = 1_000

/** Ends waits early. */
export class Alarm {
  readonly #listeners = new Set<(final: boolean) => void>()

  /** @param final ends also the waits that the server has asked for: the session is over */
  ring(final = false) {
    for (const listener of [...this.#listeners]) listener(final)
  }

  /**
   * Calls the listener when it rings, when the network is back, and when the device has slept: connections
   * from before may be dead without a sign of it.
   *
   * @returns stops that, and leaves nothing behind
   */
  on(listener: (final: boolean) => void): () => void {
    const act = () => listener(false)
    let tickedAtMs = Date.now()
    // Timers may run on a clock that stops while the device sleeps. The wall clock does not.
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

/** Browsers have the global events, Node and React Native do not. */
const events: {
  addEventListener?: (name: 'online', listener: () => void) => void
  removeEventListener?: (name: 'online', listener: () => void) => void
} = globalThis as object

/**
 * How long to wait before the next attempt.
 *
 * @param failures how many attempts have failed, 1 or more
 * @param retryAfterMs what the server asks for. Nothing, and 0, leave it to us: a pause is never 0.
 */
export function pauseMs(failures: number, retryAfterMs: number | undefined): number {
  if (retryAfterMs) return retryAfterMs + Math.random() * SPREAD_MS
  const longestMs = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (failures - 1))
  return (longestMs / 2) * (1 + Math.random())
}

/**
 * Waits. Resolves early when the signal aborts.
 *
 * @param asked by the server: it ends early only for good
 */
export function pause(
  ms: number,
  asked: boolean,
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
      if (final || !asked) end()
    })
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })
}

/** A controller that the signal aborts too. Call `unlink` when it is done: the signal may live for months. */
export function linkedController(signal: AbortSignal | undefined) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  signal?.addEventListener('abort', abort)
  if (signal?.aborted) abort()
  return { controller, unlink: () => signal?.removeEventListener('abort', abort) }
}

/** React Native's signals have no reason. */
export function throwIfAborted(signal: AbortSignal | undefined) {
  if (!signal?.aborted) return
  throw signal.reason ?? Object.assign(new Error('This operation was aborted.'), { name: 'AbortError' })
}
