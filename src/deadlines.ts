/** The precision of deadlines, in ms. Invisible after a wait of seconds. */
const SLOT_MS = 50

/**
 * Deadlines of many items, such as parked polls. Those within the same 50 ms share a timer: one timer per
 * poll would add 200 bytes to each.
 */
export class Deadlines<T> {
  readonly #slots = new Map<number, Set<T>>()
  readonly #onReached: (late: T) => void

  /** @param onReached called with each item whose deadline is reached */
  constructor(onReached: (late: T) => void) {
    this.#onReached = onReached
  }

  /**
   * Never early, and at most 50 ms late.
   *
   * @param inMs how long from now
   * @returns a set to delete the item from, to cancel it
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
    for (const waiting of late ?? []) this.#onReached(waiting)
  }
}
