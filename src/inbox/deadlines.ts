/** How exactly a wait ends, in ms. Nobody who has waited for seconds minds. */
const SLOT_MS = 50

/**
 * Times at which something is to happen to many. Those that fall into the same 50 ms share a timer: one for
 * each would take 200 bytes of what a poll holds.
 */
export class Deadlines<T> {
  readonly #slots = new Map<number, Set<T>>()
  readonly #reached: (late: T) => void

  /** @param reached called with each whose time has come */
  constructor(reached: (late: T) => void) {
    this.#reached = reached
  }

  /**
   * Never early, and at most 50 ms late.
   *
   * @param inMs how long from now
   * @returns a set from which to delete it when it must not happen any more
   */
  add(waiting: T, inMs: number): Set<T> {
    const nowMs = performance.now()
    const slot = Math.ceil((nowMs + inMs) / SLOT_MS)
    let late = this.#slots.get(slot)
    if (!late) {
      late = new Set()
      this.#slots.set(slot, late)
      setTimeout(() => this.#empty(slot), slot * SLOT_MS - nowMs).unref()
    }
    late.add(waiting)
    return late
  }

  #empty(slot: number) {
    const late = this.#slots.get(slot)
    this.#slots.delete(slot)
    for (const waiting of late ?? []) this.#reached(waiting)
  }
}
