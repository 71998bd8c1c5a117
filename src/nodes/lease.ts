/**
 * How long caches stay valid after a pulse. A node that ends a session waits up to one second. By then the
 * lease of a node without notifications has expired.
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
   * @param sinceMs when the pulse that has come back was sent
   * @param aliveUntilMs how long this node counts as alive; others do not wait for a dead one
   */
  renew(sinceMs: number, aliveUntilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, Math.min(sinceMs + LEASE_MS, aliveUntilMs))
  }

  revoke(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY
  }
}
