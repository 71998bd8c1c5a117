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
 * Repeats an attempt until it succeeds, with the pauses that the server asks for, or growing ones.
 *
 * @param attempt gets the number of failed attempts
 * @throws errors that a repeat would not fix
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
      // A pause that the server asked for does not end when the network is back.
      await pause(ms, Boolean(retryAfterMs), { alarm, signal })
      throwIfAborted(signal)
    }
  }
}
