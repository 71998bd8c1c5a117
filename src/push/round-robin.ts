import type { Hint } from './hint.ts'
import type { ServiceQueue } from './service-queue.ts'

/** Limits of concurrent requests, in all and to unproven services, so proven ones always have some left. */
const SLOTS_MAX = 64
const UNPROVEN_SLOTS_MAX = 24

/** A slot for one request. */
export interface Slot {
  hint: Hint
  release: () => void
}

/** Serves the queues of all services in turn, so many hints for one do not delay the others. */
export class RoundRobin {
  /** Services with ready hints, in the order of their turns. */
  readonly #waiting = new Set<ServiceQueue>()
  #active = 0
  #unproven = 0

  add(hint: Hint): void {
    const { service } = hint
    service.ready.push(hint)
    this.#waiting.add(service)
  }

  /** Removes all waiting hints of a service, or one of them. */
  drop(service: ServiceQueue, only?: Hint): Hint[] {
    const isMeant = (hint: Hint) => only === undefined || hint === only
    const dropped = service.ready.filter(isMeant)
    service.ready = service.ready.filter((hint) => !isMeant(hint))
    if (service.ready.length === 0) this.#waiting.delete(service)
    return dropped
  }

  /**
   * Takes the next hint that may be sent.
   *
   * @returns undefined when all wait for a slot or an open circuit
   */
  next(nowMs: number): Slot | undefined {
    if (this.#active >= SLOTS_MAX) return undefined
    for (const service of this.#waiting) {
      const { isProven } = service
      if (!service.mayStart(nowMs) || !(isProven || this.#unproven < UNPROVEN_SLOTS_MAX)) continue
      const hint = service.ready.shift()
      this.#waiting.delete(service)
      if (service.ready.length > 0) this.#waiting.add(service)
      if (hint) return this.#begin(service, hint, isProven)
    }
    return undefined
  }

  /** The time until the first open circuit with waiting hints closes; undefined if there is none. */
  circuitClosesInMs(nowMs: number): number | undefined {
    const waits = [...this.#waiting].map(({ openUntilMs }) => openUntilMs - nowMs).filter((ms) => ms > 0)
    return waits.length > 0 ? Math.min(...waits) : undefined
  }

  #begin(service: ServiceQueue, hint: Hint, isProven: boolean): Slot {
    this.#active += 1
    service.active += 1
    if (!isProven) this.#unproven += 1
    const release = () => {
      this.#active -= 1
      service.active -= 1
      if (!isProven) this.#unproven -= 1
    }
    return { hint, release }
  }
}
