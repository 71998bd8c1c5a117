import type { AddedReceipt, StoredMessage } from '../database/database.ts'
import type { AwaitedReceipts } from './awaited-receipts.ts'
import type { InboxCounts } from './inbox-counts.ts'
import type { Committed } from './open-commit.ts'
import { messageOf } from './sending.ts'
import type { Waiters } from './waiters.ts'

/** What wakes those who are not here. */
export interface Hints {
  /** A message was committed. */
  added: (username: string, seq: number) => void
  /** A session reads: from now on a message for it is hinted again. */
  takeBack: (sessionId: string) => Promise<void>
}

/** What happens after a commit, before its senders are answered. */
export class Delivery {
  readonly #waiters: Waiters
  readonly #awaitedReceipts: AwaitedReceipts
  readonly #counts: InboxCounts
  readonly #hints: Hints | undefined

  constructor(waiters: Waiters, awaitedReceipts: AwaitedReceipts, counts: InboxCounts, hints?: Hints) {
    this.#waiters = waiters
    this.#awaitedReceipts = awaitedReceipts
    this.#counts = counts
    this.#hints = hints
  }

  /** Delivers what was committed to parked polls: receipts first, as they were written. */
  deliver(committed: Committed[], receipts: AddedReceipt[]): void {
    const arrived = new Map<string, StoredMessage[]>()
    const arrive = (to: string, message: StoredMessage) => {
      const messages = arrived.get(to)
      if (messages) messages.push(message)
      else arrived.set(to, [message])
    }
    for (const { to, entry } of receipts) if (this.#waiters.hasMailbox(to)) arrive(to, entry)
    for (const { append, outcome } of committed) {
      if (outcome.kind !== 'appended') continue
      this.#counts.accepted(outcome.live)
      const { to, wantsReceipt } = append
      this.#hints?.added(to, outcome.seq)
      if (wantsReceipt) this.#awaitedReceipts.add(to, outcome.seq)
      if (this.#waiters.hasMailbox(to)) arrive(to, messageOf(append, outcome.seq))
    }
    for (const [to, messages] of arrived) this.#waiters.deliver(to, messages)
  }
}
