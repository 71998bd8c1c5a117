import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** Between two looks at first, then a tenth of the wait so far: long waits leave the processor alone. */
const PAUSE_MS = 10
const PAUSE_SHARE = 0.1
const PAUSE_MS_MAX = 100

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
  withinMs = 60_000,
): Promise<void> {
  const startedMs = performance.now()
  while (!(await look())) {
    const waitedMs = performance.now() - startedMs
    assert.ok(waitedMs < withinMs, `Not within ${withinMs} ms: ${what}`)
    await pause(Math.min(Math.max(PAUSE_MS, waitedMs * PAUSE_SHARE), PAUSE_MS_MAX))
  }
}

/** Looks again and again for as long as something must hold. */
export async function throughout(ms: number, look: () => Promise<unknown>): Promise<void> {
  for (const endMs = performance.now() + ms; performance.now() < endMs; await pause(PAUSE_MS)) await look()
}
