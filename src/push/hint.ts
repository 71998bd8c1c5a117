import type { Service } from './service.ts'
import type { KeepHint, PushResult, PushTarget } from './target.ts'
import type { VapidKey } from './vapid.ts'

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
