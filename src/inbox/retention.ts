import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { type Database, DatabaseUnavailable } from '../database/database.ts'

/**
 * Between two walks over all accounts; shorter where little is to be kept, so that it does not outstay its
 * time.
 */
const WALK_EVERY_MS_MAX = 60_000
const WALK_EVERY_MS_MIN = 1_000

/** Between two portions of a walk, so that messages on their way go first. */
const PORTION_PAUSE_MS = 5

export interface RetentionRules {
  /** An acknowledged message goes when it is older than this. */
  retentionMs: number
  /** Any message goes when it is older than this; Infinity for never. */
  messageTtlMs: number
}

/**
 * Removes what may go, in the background: messages by age, the inboxes of deleted accounts, expired
 * idempotency keys and sessions.
 *
 * @param onFault told of what should not happen; a store that is unavailable is tried again in the next walk
 * @returns a function that stops it, after the portion that is under way
 */
export function startRetention(
  database: Pick<Database, 'purge'>,
  { retentionMs, messageTtlMs }: RetentionRules,
  clock: Clock,
  onFault: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController()
  const everyMs = Math.min(
    Math.max(Math.min(retentionMs, messageTtlMs) / 10, WALK_EVERY_MS_MIN),
    WALK_EVERY_MS_MAX,
  )

  async function walk() {
    let fromAccountId: number | undefined = 0
    while (fromAccountId !== undefined && !stopping.signal.aborted) {
      const nowMs = clock()
      fromAccountId = await database.purge({
        fromAccountId,
        acknowledgedBeforeMs: nowMs - retentionMs,
        unacknowledgedBeforeMs: nowMs - messageTtlMs,
        nowMs,
      })
      await sleep(PORTION_PAUSE_MS)
    }
  }

  /** Returns early when it is time to stop. */
  const sleep = (ms: number) => pause(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => {})

  async function run() {
    while (!stopping.signal.aborted) {
      await walk().catch((error: unknown) => {
        if (!(error instanceof DatabaseUnavailable)) onFault(error)
      })
      await sleep(everyMs)
    }
  }

  const stopped = run()
  return () => {
    stopping.abort()
    return stopped
  }
}
