import type { Hint } from './hint.ts'
import type { Service } from './service.ts'

/** Requests under way, in all and to services that are not proven: so some are left for those that are. */
const SLOTS_MAX = 64
const UNPROVEN_SLOTS_MAX = 24

export interface Turn {
  hint: Hint
  /** Frees its slot. */
  end: () => void
}

/** The services take turns, so that many hints for one do not delay those for others. */
export class Turns {
  /** Those with hints that are ready, in the order of their turns. */
  readonly #waiting = new Set<Service>()
  #active = 0
  #unproven = 0

  add(hint: Hint): void {
    const { service } = hint
    service.ready.push(hint)
    this.#waiting.add(service)
  }

  /** Takes out what waits for a service, or one hint of it. */
  drop(service: Service, only?: Hint): Hint[] {
    const isMeant = (hint: Hint) => only === undefined || hint === only
    const dropped = service.ready.filter(isMeant)
    service.ready = service.ready.filter((hint) => !isMeant(hint))
    if (service.ready.length === 0) this.#waiting.delete(service)
    return dropped
  }

  /**
   * Takes the next hint that may go.
   *
   * @returns undefined when each has to wait: for a slot, or for a circuit that is open
   */
  next(nowMs: number): Turn | undefined {
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

  /** When the first circuit closes that something waits for; undefined when none is open. */
  closesInMs(nowMs: number): number | undefined {
    const waits = [...this.#waiting].map(({ openUntilMs }) => openUntilMs - nowMs).filter((ms) => ms > 0)
    return waits.length > 0 ? Math.min(...waits) : undefined
  }

  #begin(service: Service, hint: Hint, isProven: boolean): Turn {
    this.#active += 1
    service.active += 1
    if (!isProven) this.#unproven += 1
    const end = () => {
      this.#active -= 1
      service.active -= 1
      if (!isProven) this.#unproven -= 1
    }
    return { hint, end }
  }
}
