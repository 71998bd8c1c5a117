import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** The first pause between two checks; later it is a tenth of the wait so far, to save processor time. */
const PAUSE_MS = 10
const PAUSE_SHARE = 0.1
const PAUSE_MS_MAX = 100

/** Between two checks of a condition that must stay true: often enough to see a short lapse. */
const RECHECK_MS = 50

/** Far longer than an answer takes, even on a busy machine, and far shorter than a poll waits. */
export const AT_ONCE_MS = 5_000

/**
 * Polls a condition that sends no event. Resolves when it is true.
 *
 * @param what the condition in words, for the error message
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

/** Polls a condition that must stay true for a time. */
export async function throughout(ms: number, look: () => Promise<unknown>): Promise<void> {
  for (const endMs = performance.now() + ms; performance.now() < endMs; await pause(RECHECK_MS)) await look()
}
