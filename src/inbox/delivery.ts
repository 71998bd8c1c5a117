import type { AddedReceipt, Entry } from '../database/database.ts'
import type { AwaitedReceipts } from './awaited-receipts.ts'
import type { Committed } from './commit-under-way.ts'
import type { InboxCounts } from './inbox-counts.ts'
import type { Mailboxes } from './mailboxes.ts'
import { toEntry } from './send-request.ts'

/** Push hints, for sessions that do not read. */
export interface PushHints {
  /** A message was committed. */
  added: (username: string, seq: number) => void
  /** A session reads: the next message for it is hinted again. */
  takeBack: (sessionId: string) => Promise<void>
}

/** What happens after a commit, before its senders are answered. */
export class Delivery {
  readonly #mailboxes: Mailboxes
  readonly #awaitedReceipts: AwaitedReceipts
  readonly #counts: InboxCounts
  readonly #hints: PushHints | undefined

  constructor(
    mailboxes: Mailboxes,
    awaitedReceipts: AwaitedReceipts,
    counts: InboxCounts,
    hints?: PushHints,
  ) {
    this.#mailboxes = mailboxes
    this.#awaitedReceipts = awaitedReceipts
    this.#counts = counts
    this.#hints = hints
  }

  /** Delivers committed entries to parked polls: receipts first, as they were written. */
  deliver(committed: Committed[], receipts: AddedReceipt[]): void {
    const arrived = new Map<string, Entry[]>()
    const arrive = (to: string, entry: Entry) => {
      const entries = arrived.get(to)
      if (entries) entries.push(entry)
      else arrived.set(to, [entry])
    }
    for (const { to, entry } of receipts) if (this.#mailboxes.has(to)) arrive(to, entry)
    for (const { message, outcome } of committed) {
      if (outcome.kind !== 'appended') continue
      this.#counts.countAccepted(outcome.live)
      const { to, wantsReceipt } = message
      this.#hints?.added(to, outcome.seq)
      if (wantsReceipt) this.#awaitedReceipts.add(to, outcome.seq)
      if (this.#mailboxes.has(to)) arrive(to, toEntry(message, outcome.seq))
    }
    for (const [to, entries] of arrived) this.#mailboxes.deliver(to, entries)
  }
}
