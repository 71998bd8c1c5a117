/** Inboxes that are remembered. Without one, its receipts come with the next commit that takes them along. */
const INBOXES_MAX = 10_000

/** Which inboxes got messages here whose senders wait for a receipt. */
export class AwaitedReceipts {
  /** By the name of the inbox the newest such message. */
  readonly #newest = new Map<string, number>()

  add(username: string, seq: number): void {
    if (this.#newest.size >= INBOXES_MAX) this.#newest.clear()
    this.#newest.set(username, seq)
  }

  /** Whether an acknowledgement up to there may bring one. */
  mayCome(username: string, seq: number): boolean {
    const newest = this.#newest.get(username)
    if (newest === undefined) return false
    if (newest <= seq) this.#newest.delete(username)
    return true
  }
}
