import { LRUCache } from 'lru-cache'
import type { ServiceQueue } from './service-queue.ts'

/** A subscription counts as ended after this many rejections in a row. */
const STRIKES_MAX = 3

/** `maxSize`, because with `max` lru-cache allocates all entries at once. */
const CACHE = { maxSize: 10_000, sizeCalculation: () => 1 }

interface Health {
  strikes: number
  /** How many hints the service had accepted from this server at the last strike. */
  acceptedBefore: number
  /** No attempt before this time. */
  notBeforeMs: number
}

/** Remembers throttling and rejections of subscriptions since their last accepted hint. */
export class SubscriptionHealth {
  readonly #byTarget = new LRUCache<string, Health>(CACHE)
  readonly #accepted = new LRUCache<string, true>(CACHE)

  /** The earliest time for the next hint, in ms of `performance.now()`. */
  notBeforeMs(targetId: string): number {
    return this.#byTarget.get(targetId)?.notBeforeMs ?? 0
  }

  throttle(targetId: string, untilMs: number): void {
    this.#healthOf(targetId).notBeforeMs = untilMs
  }

  /**
   * Notes that the service rejected a request.
   *
   * @returns whether the subscription now counts as ended
   */
  noteRejected(targetId: string): boolean {
    const health = this.#healthOf(targetId)
    health.strikes += 1
    return health.strikes >= STRIKES_MAX
  }

  /**
   * Notes that the service refused this server. That counts only if the service accepts hints for others.
   *
   * @returns whether the subscription now counts as ended
   */
  noteRefused(targetId: string, { accepted }: Pick<ServiceQueue, 'accepted'>): boolean {
    const health = this.#healthOf(targetId)
    if (accepted <= health.acceptedBefore) return false
    health.acceptedBefore = accepted
    return this.noteRejected(targetId)
  }

  /** Notes that the service accepted a hint. */
  noteAccepted(targetId: string): void {
    this.#accepted.set(targetId, true)
    this.#byTarget.delete(targetId)
  }

  /** Whether a hint was ever accepted, as far as remembered. */
  wasAccepted(targetId: string): boolean {
    return this.#accepted.has(targetId)
  }

  forget(targetId: string): void {
    this.#accepted.delete(targetId)
    this.#byTarget.delete(targetId)
  }

  #healthOf(targetId: string): Health {
    const known = this.#byTarget.get(targetId)
    if (known) return known
    const health = { strikes: 0, acceptedBefore: 0, notBeforeMs: 0 }
    this.#byTarget.set(targetId, health)
    return health
  }
}
