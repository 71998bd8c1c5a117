/**
 * How long caches stay valid after a probe. A node that ends a session waits for this one, one second at
 * most: by then the lease of a node that gets no notifications has run out.
 */
const LEASE_MS = 600

/** Whether this node has handled all notifications up to a moment ago. */
export class Lease {
  #untilMs = Number.NEGATIVE_INFINITY

  get holds(): boolean {
    return performance.now() < this.#untilMs
  }

  /**
   * On the monotonic clock:
   *
   * @param sinceMs when the probe was sent that has come back
   * @param aliveUntilMs how long this node counts as alive; others do not wait for a dead one
   */
  renew(sinceMs: number, aliveUntilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, Math.min(sinceMs + LEASE_MS, aliveUntilMs))
  }

  revoke(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY
  }
}
