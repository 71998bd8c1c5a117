import type { ClaimedHint } from '../database/database.ts'
import type { ServiceQueue } from './service-queue.ts'
import type { VapidKey } from './vapid.ts'

/** A push subscription to send a hint to. */
export type PushTarget = Omit<ClaimedHint, 'seq'>

export type PushResult =
  /** The push service accepted it, and keeps it for this long. */
  | { kind: 'sent'; ttlS: number }
  /** The subscription has ended or is invalid: delete it. */
  | { kind: 'gone' }
  /** Given up, stale, or dropped: the next message tries again. */
  | { kind: 'failed' }
  /** The push service refuses this server (key, subject, clock). Keep the subscription. */
  | { kind: 'refused' }

/**
 * Renews the claim of a hint before every delayed attempt, so no other node sends it meanwhile.
 *
 * @param forMs how long the attempt takes at most
 * @returns false when the hint is no longer due: its session has read, or another node has claimed it
 */
export type RenewClaim = (forMs: number) => Promise<boolean>

/** A hint in memory, until its result is known. Times are in ms of `performance.now()`. */
export interface Hint {
  target: PushTarget
  readonly url: URL
  key: VapidKey
  readonly service: ServiceQueue
  newestSeq: number
  renewClaim: RenewClaim | undefined
  createdMs: number
  attempts: number
  /** Set while it waits for another attempt. */
  timer: NodeJS.Timeout | undefined
  isUnderWay: boolean
  /** Whether another hint for the target was requested while this one was under way. */
  isRequestedAgain: boolean
  readonly result: Promise<PushResult>
  readonly resolve: (result: PushResult) => void
}

export function newHint(
  given: Pick<Hint, 'target' | 'url' | 'key' | 'service' | 'newestSeq' | 'renewClaim'>,
): Hint {
  let resolve: Hint['resolve'] = () => undefined
  const result = new Promise<PushResult>((resolved) => {
    resolve = resolved
  })
  const createdMs = performance.now()
  return {
    ...given,
    createdMs,
    attempts: 0,
    timer: undefined,
    isUnderWay: false,
    isRequestedAgain: false,
    result,
    resolve,
  }
}
