import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** Between two looks. */
const PAUSE_MS = 10

/**
 * Far more than an answer takes, on a busy machine too, and far less than polls wait that are not answered at
 * once.
 */
export const AT_ONCE_MS = 5_000

/**
 * Looks again and again, for what sends no event. Resolves when it is so.
 *
 * @param what is waited for, told when it does not come
 */
export async function eventually(
  what: string,
  look: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const untilMs = performance.now() + withinMs
  while (!(await look())) {
    assert.ok(performance.now() < untilMs, `Not within ${withinMs} ms: ${what}`)
    await pause(PAUSE_MS)
  }
}
