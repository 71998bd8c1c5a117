import { isTransient, type RestanteProblem } from './problem.ts'
import { type Alarm, pause, pauseMs, throwIfAborted } from './wait.ts'

export interface RepeatOptions {
  signal: AbortSignal | undefined
  alarm: Alarm
  /** When to give up, in milliseconds since 1970. */
  untilMs?: number
  /** Called before each pause. */
  onPause?: (problem: RestanteProblem, retryInMs: number) => void
}

/**
 * Tries until there is an answer, with pauses as the server asks for them, or that grow.
 *
 * @param attempt gets how many attempts have failed
 * @throws what is no reason to try again
 */
export async function repeat<T>(
  attempt: (failures: number) => Promise<T>,
  { signal, alarm, untilMs = Infinity, onPause }: RepeatOptions,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await attempt(failures)
    } catch (error) {
      if (!isTransient(error)) throw error
      failures += 1
      const { retryAfterMs } = error
      const ms = pauseMs(failures, retryAfterMs)
      if (Date.now() + ms > untilMs) throw error
      onPause?.(error, ms)
      // How long the server wants to be left alone does not change with the network.
      await pause(ms, Boolean(retryAfterMs), { alarm, signal })
      throwIfAborted(signal)
    }
  }
}
