import type { Outcome } from './attempt.ts'
import type { Hint, PushResult } from './hint.ts'
import { withJitter } from './service-queue.ts'
import type { SubscriptionHealth } from './subscription-health.ts'
import type { Vapid } from './vapid.ts'
import type { Warnings } from './warnings.ts'

const ATTEMPTS_MAX = 5

/** The factor between two waits: 2, 12, 72 s, 7 minutes. */
const BACK_OFF_FACTOR = 6

type NextStep = PushResult | { kind: 'retry'; waitMs: number }

/** Applies the outcome of an attempt to the service, the subscription and the hint. */
export class Outcomes {
  readonly #vapid: Vapid
  readonly #health: SubscriptionHealth
  readonly #warnings: Warnings
  readonly #times: { backOffMs: number; lifeMs: number }

  /** @param times the first wait for a retry, and the lifetime of a hint */
  constructor(
    vapid: Vapid,
    health: SubscriptionHealth,
    warnings: Warnings,
    times: { backOffMs: number; lifeMs: number },
  ) {
    this.#vapid = vapid
    this.#health = health
    this.#warnings = warnings
    this.#times = times
  }

  /** @param hint its `attempts` includes this one */
  apply(hint: Hint, outcome: Outcome): NextStep {
    const { service, target } = hint
    switch (outcome.kind) {
      case 'sent':
        this.#health.noteAccepted(target.id)
        if (service.noteAccepted())
          this.#warnings.over(service.origin, `push: ${service.origin} accepts hints again`)
        return { kind: 'sent', ttlS: outcome.ttlS }
      case 'gone':
        service.noteAnswered()
        this.#health.forget(target.id)
        return { kind: 'gone' }
      case 'throttled':
        service.noteAnswered()
        return this.#retry(hint, outcome.waitMs, true)
      case 'unavailable':
        this.#noteFailed(hint, outcome.reason)
        return this.#retry(hint, outcome.waitMs, false)
      case 'unauthorized':
        return this.#refused(hint, outcome.reason)
      case 'rejected':
        this.#noteNotUnderstood(hint, outcome.reason)
        return { kind: this.#health.noteRejected(target.id) ? 'gone' : 'failed' }
      case 'failed':
        this.#noteNotUnderstood(hint, outcome.reason)
        return { kind: 'failed' }
      case 'inward':
        this.#noteFailed(hint, outcome.reason)
        return { kind: 'failed' }
    }
  }

  /** Does not count against the service: the client may have chosen a bad endpoint. */
  #noteNotUnderstood({ service }: Hint, reason: string) {
    service.noteAnswered()
    this.#warnings.warn(
      `a hint at ${service.origin}`,
      `push: ${service.origin} does not understand a hint: ${reason}`,
    )
  }

  #refused(hint: Hint, reason: string): NextStep {
    const { service, target, key } = hint
    this.#vapid.forget(service.origin, key)
    // Otherwise anyone could block the service for others by registering invalid endpoints.
    const isOurFault = service.accepted === 0 || this.#health.wasAccepted(target.id)
    if (!isOurFault) service.noteAnswered()
    else if (service.noteRefused(performance.now()))
      this.#warnings.warn(
        `keys at ${service.origin}`,
        `push: ${service.origin} refuses this server (${reason}): check PUSH_SUBJECT, VAPID_KEYS and the clock`,
      )
    return { kind: this.#health.noteRefused(target.id, service) ? 'gone' : 'refused' }
  }

  #noteFailed({ service }: Hint, reason: string) {
    if (service.noteFailed(performance.now()))
      this.#warnings.warn(service.origin, `push: ${service.origin} does not accept hints: ${reason}`)
  }

  /**
   * @param askedMs the wait that the service asks for
   * @param isThrottled whether it applies to later hints of the subscription too
   */
  #retry({ target, createdMs, attempts }: Hint, askedMs: number | undefined, isThrottled: boolean): NextStep {
    const { backOffMs, lifeMs } = this.#times
    const leastMs =
      askedMs === undefined ? backOffMs * BACK_OFF_FACTOR ** (attempts - 1) : Math.max(askedMs, backOffMs)
    const waitMs = withJitter(leastMs)
    const nowMs = performance.now()
    if (isThrottled) this.#health.throttle(target.id, nowMs + waitMs)
    const isLate = nowMs + waitMs > createdMs + lifeMs
    return attempts >= ATTEMPTS_MAX || isLate ? { kind: 'failed' } : { kind: 'retry', waitMs }
  }
}
