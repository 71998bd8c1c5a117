import { LRUCache } from 'lru-cache'
import type { Service } from './service.ts'

/** So many times in a row a service rejects a subscription before it counts as ended. */
const STRIKES_MAX = 3

/** Above it the least recently used is forgotten. With `max` lru-cache would make room for all at once. */
const REMEMBERED = { maxSize: 10_000, sizeCalculation: () => 1 }

interface Standing {
  strikes: number
  /** How many hints the service had taken from this server at the last strike. */
  acceptedBefore: number
  /** Not to be tried before. */
  notBeforeMs: number
}

/** What is known of subscriptions since the last hint that was taken. */
export class Standings {
  readonly #byTarget = new LRUCache<string, Standing>(REMEMBERED)

  /** When a hint may go to it, in ms of `performance.now()`. */
  notBeforeMs(targetId: string): number {
    return this.#byTarget.get(targetId)?.notBeforeMs ?? 0
  }

  throttle(targetId: string, untilMs: number): void {
    this.#of(targetId).notBeforeMs = untilMs
  }

  /**
   * A request was rejected.
   *
   * @returns whether it was so often that the subscription has ended
   */
  strike(targetId: string): boolean {
    const standing = this.#of(targetId)
    standing.strikes += 1
    return standing.strikes >= STRIKES_MAX
  }

  /**
   * This server was refused. That is the subscription's fault only where the service takes hints for others.
   *
   * @returns whether it was so often that the subscription has ended
   */
  refuse(targetId: string, { accepted }: Pick<Service, 'accepted'>): boolean {
    const standing = this.#of(targetId)
    if (accepted <= standing.acceptedBefore) return false
    standing.acceptedBefore = accepted
    return this.strike(targetId)
  }

  forget(targetId: string): void {
    this.#byTarget.delete(targetId)
  }

  #of(targetId: string): Standing {
    const known = this.#byTarget.get(targetId)
    if (known) return known
    const standing = { strikes: 0, acceptedBefore: 0, notBeforeMs: 0 }
    this.#byTarget.set(targetId, standing)
    return standing
  }
}
