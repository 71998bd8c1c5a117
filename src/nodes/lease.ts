/**
 * For how long what was heard once may be taken for the truth. A node that ends a session waits for this one,
 * or for a second: by then the lease has run out when this one heard nothing.
 */
const LEASE_MS = 600

/** Whether this node has heard all that the others have said until a moment ago. */
export class Lease {
  #untilMs = Number.NEGATIVE_INFINITY

  get holds(): boolean {
    return performance.now() < this.#untilMs
  }

  /**
   * On the monotonic clock:
   *
   * @param sinceMs when it was asked what has been heard by now
   * @param aliveUntilMs how long this node counts as alive; a dead one is not waited for
   */
  renew(sinceMs: number, aliveUntilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, Math.min(sinceMs + LEASE_MS, aliveUntilMs))
  }

  revoke(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY
  }
}
