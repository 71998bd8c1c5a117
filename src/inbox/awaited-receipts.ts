import { LRUCache } from 'lru-cache'

/**
 * Inboxes in memory; above it the least recently used is evicted. Receipts of the others come with the next
 * commit that writes deferred acknowledgements.
 */
const INBOXES = { maxSize: 10_000, sizeCalculation: () => 1 }

/** Which inboxes got messages on this node whose senders asked for a receipt. */
export class AwaitedReceipts {
  /** The newest such message, by the name of the inbox. */
  readonly #newest = new LRUCache<string, number>(INBOXES)

  add(username: string, seq: number): void {
    this.#newest.set(username, seq)
  }

  /** Whether an acknowledgement up to there may cause a receipt. */
  mayCause(username: string, seq: number): boolean {
    const newest = this.#newest.peek(username)
    if (newest === undefined) return false
    if (newest <= seq) this.#newest.delete(username)
    return true
  }
}
