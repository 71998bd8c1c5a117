import type { ClaimedHint } from '../database/database.ts'
import type { Service } from './service.ts'
import type { VapidKey } from './vapid.ts'

/** A subscription to send a hint to, as its browser or distributor gave it. */
export type PushTarget = Omit<ClaimedHint, 'seq'>

export type PushResult =
  /** The push service took it, and keeps it for this long. */
  | { kind: 'sent'; ttlS: number }
  /** The subscription has ended, or never was one: delete it. */
  | { kind: 'gone' }
  /** Given up, stale, or no room: the next message tries again. */
  | { kind: 'failed' }
  /** The push service refuses this server (key, subject, clock): the subscription stays. */
  | { kind: 'refused' }

/**
 * Asked before every try that does not come at once.
 *
 * @param forMs how long that try takes at most: nobody else should send the hint meanwhile
 * @returns false when the hint is no longer due: its session has read, or another node has taken it over
 */
export type KeepHint = (forMs: number) => Promise<boolean>

/** A hint that is on its way. Its times are in ms of `performance.now()`. */
export interface Hint {
  target: PushTarget
  readonly url: URL
  key: VapidKey
  readonly service: Service
  newest: number
  keep: KeepHint | undefined
  bornMs: number
  tries: number
  /** While it waits for another try. */
  timer: NodeJS.Timeout | undefined
  isUnderWay: boolean
  /** Whether it was asked for again while it is under way. */
  isAskedAgain: boolean
  readonly result: Promise<PushResult>
  readonly resolve: (result: PushResult) => void
}

export function newHint(given: Pick<Hint, 'target' | 'url' | 'key' | 'service' | 'newest' | 'keep'>): Hint {
  let resolve: Hint['resolve'] = () => undefined
  const result = new Promise<PushResult>((resolved) => {
    resolve = resolved
  })
  const bornMs = performance.now()
  return {
    ...given,
    bornMs,
    tries: 0,
    timer: undefined,
    isUnderWay: false,
    isAskedAgain: false,
    result,
    resolve,
  }
}
