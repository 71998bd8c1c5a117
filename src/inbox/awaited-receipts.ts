/**
 * Inboxes remembered. For others, receipts come with the next commit that writes deferred acknowledgements.
 */
const INBOXES_MAX = 10_000

/** Which inboxes got messages on this node whose senders asked for a receipt. */
export class AwaitedReceipts {
  /** The newest such message, by the name of the inbox. */
  readonly #newest = new Map<string, number>()

  add(username: string, seq: number): void {
    if (this.#newest.size >= INBOXES_MAX) this.#newest.clear()
    this.#newest.set(username, seq)
  }

  /** Whether an acknowledgement up to there may cause a receipt. */
  mayCome(username: string, seq: number): boolean {
    const newest = this.#newest.get(username)
    if (newest === undefined) return false
    if (newest <= seq) this.#newest.delete(username)
    return true
  }
}
