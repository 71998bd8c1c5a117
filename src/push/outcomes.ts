import type { Outcome } from './answers.ts'
import type { Hint, PushResult } from './hint.ts'
import type { Notices } from './notices.ts'
import { withJitter } from './service.ts'
import type { Standings } from './standings.ts'
import type { Vapid } from './vapid.ts'

const TRIES_MAX = 5

/** Each wait for another try is longer than the one before by so much: 2, 12, 72 s, 7 minutes. */
const BACK_OFF_FACTOR = 6

type Next = PushResult | { kind: 'again'; waitMs: number }

/** What an outcome means for its service, its subscription, and the hint. */
export class Outcomes {
  readonly #vapid: Vapid
  readonly #standings: Standings
  readonly #notices: Notices
  readonly #times: { backOffMs: number; lifeMs: number }

  /** @param times how long the first wait for another try is, and how long a hint lives */
  constructor(
    vapid: Vapid,
    standings: Standings,
    notices: Notices,
    times: { backOffMs: number; lifeMs: number },
  ) {
    this.#vapid = vapid
    this.#standings = standings
    this.#notices = notices
    this.#times = times
  }

  /** @param hint its `tries` has this one in it */
  act(hint: Hint, outcome: Outcome): Next {
    const { service, target } = hint
    switch (outcome.kind) {
      case 'sent':
        this.#standings.taken(target.id)
        if (service.noteAccepted()) this.#notices.over(service.origin, `push: ${service.origin} is back`)
        return { kind: 'sent', ttlS: outcome.ttlS }
      case 'gone':
        service.noteAnswered()
        this.#standings.forget(target.id)
        return { kind: 'gone' }
      case 'throttled':
        service.noteAnswered()
        return this.#again(hint, outcome.waitMs, true)
      case 'unavailable':
        this.#noteFailed(hint, outcome.reason)
        return this.#again(hint, outcome.waitMs, false)
      case 'unauthorized':
        return this.#refused(hint, outcome.reason)
      case 'rejected':
        this.#notUnderstood(hint, outcome.reason)
        return { kind: this.#standings.strike(target.id) ? 'gone' : 'failed' }
      case 'failed':
        this.#notUnderstood(hint, outcome.reason)
        return { kind: 'failed' }
      case 'inward':
        this.#noteFailed(hint, outcome.reason)
        return { kind: 'failed' }
    }
  }

  /** That is the fault of this one request: others may have chosen its endpoint badly, or on purpose. */
  #notUnderstood({ service }: Hint, reason: string) {
    service.noteAnswered()
    this.#notices.warn(
      `a hint at ${service.origin}`,
      `push: ${service.origin} makes nothing of a hint: ${reason}`,
    )
  }

  #refused(hint: Hint, reason: string): Next {
    const { service, target, key } = hint
    this.#vapid.forget(service.origin, key)
    // Else anybody could have hints of others refused, with endpoints that are none.
    const isOurFault = service.accepted === 0 || this.#standings.wasTaken(target.id)
    if (!isOurFault) service.noteAnswered()
    else if (service.noteRefused(performance.now()))
      this.#notices.warn(
        `keys at ${service.origin}`,
        `push: ${service.origin} refuses this server (${reason}): check PUSH_SUBJECT, VAPID_KEYS and the clock`,
      )
    return { kind: this.#standings.refuse(target.id, service) ? 'gone' : 'refused' }
  }

  #noteFailed({ service }: Hint, reason: string) {
    if (service.noteFailed(performance.now()))
      this.#notices.warn(service.origin, `push: ${service.origin} does not take hints: ${reason}`)
  }

  /**
   * @param askedMs what the service asks for
   * @param isOfTarget whether that holds for later hints, too
   */
  #again({ target, bornMs, tries }: Hint, askedMs: number | undefined, isOfTarget: boolean): Next {
    const { backOffMs, lifeMs } = this.#times
    const leastMs =
      askedMs === undefined ? backOffMs * BACK_OFF_FACTOR ** (tries - 1) : Math.max(askedMs, backOffMs)
    const waitMs = withJitter(leastMs)
    const nowMs = performance.now()
    if (isOfTarget) this.#standings.throttle(target.id, nowMs + waitMs)
    const isLate = nowMs + waitMs > bornMs + lifeMs
    return tries >= TRIES_MAX || isLate ? { kind: 'failed' } : { kind: 'again', waitMs }
  }
}
