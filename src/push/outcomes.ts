import { LRUCache } from 'lru-cache'
import type { Outcome } from './answers.ts'
import type { Hint, PushResult } from './hint.ts'
import type { Notices } from './notices.ts'
import { withJitter } from './service.ts'
import type { Vapid } from './vapid.ts'

const TRIES_MAX = 5

/** Each wait for another try is longer than the one before by so much: 2, 12, 72 s, 7 minutes. */
const BACK_OFF_FACTOR = 6

/** So many times in a row a service rejects a subscription before it counts as ended. */
const STRIKES_MAX = 3

/** Above it the least recently used is forgotten. With `max` lru-cache would make room for all at once. */
const REMEMBERED = { maxSize: 10_000, sizeCalculation: () => 1 }

/** What is known of a subscription since the last hint that was taken. */
interface Standing {
  strikes: number
  /** How many hints the service had taken from this server at the last strike. */
  acceptedBefore: number
  /** Not to be tried before. */
  notBeforeMs: number
}

type Next = PushResult | { kind: 'again'; waitMs: number }

/** What an outcome means for its service, its subscription, and the hint. */
export class Outcomes {
  readonly #vapid: Vapid
  readonly #notices: Notices
  readonly #times: { backOffMs: number; lifeMs: number }
  /** By target. */
  readonly #standings = new LRUCache<string, Standing>(REMEMBERED)

  /** @param times how long the first wait for another try is, and how long a hint lives */
  constructor(vapid: Vapid, notices: Notices, times: { backOffMs: number; lifeMs: number }) {
    this.#vapid = vapid
    this.#notices = notices
    this.#times = times
  }

  /** When a hint may go to a target, in ms of `performance.now()`. */
  notBeforeMs(targetId: string): number {
    return this.#standings.get(targetId)?.notBeforeMs ?? 0
  }

  /** @param hint its `tries` has this one in it */
  act(hint: Hint, outcome: Outcome): Next {
    const { service, target } = hint
    switch (outcome.kind) {
      case 'sent':
        this.#standings.delete(target.id)
        if (service.noteAccepted()) this.#notices.over(service.origin, `push: ${service.origin} is back`)
        return { kind: 'sent', ttlS: outcome.ttlS }
      case 'gone':
        service.noteAnswered()
        this.#standings.delete(target.id)
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
        service.noteAnswered()
        this.#notices.warn(
          `a hint at ${service.origin}`,
          `push: ${service.origin} makes nothing of a hint: ${outcome.reason}`,
        )
        return { kind: this.#strike(target.id) ? 'gone' : 'failed' }
      case 'failed':
        this.#noteFailed(hint, outcome.reason)
        return { kind: 'failed' }
    }
  }

  #refused(hint: Hint, reason: string): Next {
    const { service, target, key } = hint
    this.#vapid.forget(service.origin, key)
    if (service.noteRefused(performance.now()))
      this.#notices.warn(
        `keys at ${service.origin}`,
        `push: ${service.origin} refuses this server (${reason}): check PUSH_SUBJECT, VAPID_KEYS and the clock`,
      )
    // The fault of this subscription only where the service has taken hints for others meanwhile.
    const standing = this.#standingOf(target.id)
    if (service.accepted <= standing.acceptedBefore) return { kind: 'refused' }
    standing.acceptedBefore = service.accepted
    return { kind: this.#strike(target.id) ? 'gone' : 'refused' }
  }

  /** @returns whether it was so often that the subscription has ended */
  #strike(targetId: string): boolean {
    const standing = this.#standingOf(targetId)
    standing.strikes += 1
    return standing.strikes >= STRIKES_MAX
  }

  #standingOf(targetId: string): Standing {
    const known = this.#standings.get(targetId)
    if (known) return known
    const standing = { strikes: 0, acceptedBefore: 0, notBeforeMs: 0 }
    this.#standings.set(targetId, standing)
    return standing
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
    if (isOfTarget) this.#standingOf(target.id).notBeforeMs = nowMs + waitMs
    const isLate = nowMs + waitMs > bornMs + lifeMs
    return tries >= TRIES_MAX || isLate ? { kind: 'failed' } : { kind: 'again', waitMs }
  }
}
