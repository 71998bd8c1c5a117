import { setTimeout as pause } from 'node:timers/promises'
import type { ClockHistory } from '../clock.ts'
import { type Database, DatabaseUnavailable } from '../database/database.ts'

/**
 * Between two passes over all accounts; shorter for a short retention, so that messages do not outlive it.
 */
const PASS_EVERY_MS_MAX = 60_000
const PASS_EVERY_MS_MIN = 500

/** Between two batches of a pass, so that messages on their way go first. */
const BATCH_PAUSE_MS = 5

/**
 * No message is older than this software. A clock that is not yet set begins in 1970, or at its date of
 * manufacture.
 */
const FIRST_DATE_MS = Date.UTC(2026, 0, 1)

/** How long a session stays after its expiry: a clock that is ahead for less ends none for good. */
const SESSIONS_KEPT_MS = 86_400_000

/** How long a push subscription lasts without use: some services never say that one has ended. */
const SUBSCRIPTIONS_KEPT_MS = 60 * 86_400_000

export interface RetentionRules {
  /** An acknowledged message goes when it is older than this; Infinity for never. */
  retentionMs: number
  /** Any message goes when it is older than this; Infinity for never. */
  messageTtlMs: number
  /** How long an idempotency key gives the same answer again. */
  idempotencyTtlMs: number
}

/** The inbox in front of the store. */
interface PurgedInbox {
  /** Resolves when all earlier acknowledgements are in the store. */
  acknowledgementsWritten: () => Promise<void>
  /** How many entries were removed. */
  counts: { purged: number }
}

/**
 * Purges in the background: messages by age, the inboxes of deleted accounts, expired idempotency keys,
 * sessions and push subscriptions.
 *
 * @param onFault called with unexpected errors; an unavailable store is tried again in the next pass
 * @returns a function that stops it, after the batch that is under way
 */
export function startRetention(
  database: Pick<Database, 'purge'>,
  inbox: PurgedInbox,
  { retentionMs, messageTtlMs, idempotencyTtlMs }: RetentionRules,
  clock: ClockHistory,
  onFault: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController()
  const everyMs = Math.min(
    Math.max(Math.min(retentionMs, messageTtlMs) / 10, PASS_EVERY_MS_MIN),
    PASS_EVERY_MS_MAX,
  )

  async function pass() {
    let fromAccountId: number | undefined = 0
    while (fromAccountId !== undefined && !stopping.signal.aborted) {
      // Otherwise a message that was just acknowledged would expire as unread.
      if (messageTtlMs < Number.POSITIVE_INFINITY) await inbox.acknowledgementsWritten()
      const { next, messages } = await database.purge({
        fromAccountId,
        acknowledgedBeforeMs: clock.oldBeforeMs(retentionMs),
        unacknowledgedBeforeMs: clock.oldBeforeMs(messageTtlMs),
        unacknowledgedFromMs: FIRST_DATE_MS,
        keysBeforeMs: clock.oldBeforeMs(idempotencyTtlMs),
        keysAfterMs: clock.wrongAfterMs(idempotencyTtlMs),
        sessionsBeforeMs: clock.oldBeforeMs(SESSIONS_KEPT_MS),
        subscriptionsBeforeMs: clock.oldBeforeMs(SUBSCRIPTIONS_KEPT_MS),
        nowMs: clock.now(),
      })
      fromAccountId = next
      inbox.counts.purged += messages
      await sleep(BATCH_PAUSE_MS)
    }
  }

  /** Returns early when it is time to stop. */
  const sleep = (ms: number) => pause(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => {})

  async function run() {
    while (!stopping.signal.aborted) {
      await pass().catch((error: unknown) => {
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
