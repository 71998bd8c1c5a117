import { type Rate, TokenBuckets } from './token-buckets.ts'

/** Bytes of messages that an account reads again: 128 MiB at once, and then 2 MiB a second. */
const PAGES: Rate = { burst: 128 * 1_048_576, everyMs: 1_000 / (2 * 1_048_576) }

/** Per session: polls that find nothing and do not wait. */
const IDLE_POLLS: Rate = { burst: 30, everyMs: 500 }

/**
 * Limits reads that do not wait, by their cost. It is charged afterwards, because it is not known before; an
 * account in debt may not read. Counted in the memory of this process; a restart forgets it.
 */
export class ReadBudget {
  readonly #pages: TokenBuckets | undefined
  readonly #idlePolls: TokenBuckets | undefined

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    this.#pages = enabled ? new TokenBuckets(PAGES) : undefined
    this.#idlePolls = enabled ? new TokenBuckets(IDLE_POLLS) : undefined
  }

  /** How many ms until an account may read again; 0 when it may now. */
  pagesOwedMs(accountId: number): number {
    return this.#pages?.owedMs(accountId) ?? 0
  }

  /** @param bytes the cost of a page */
  chargePage(accountId: number, bytes: number): void {
    this.#pages?.charge(accountId, bytes)
  }

  /** How many ms until a session may make another poll that finds nothing; 0 when it may now. */
  idlePollsOwedMs(sessionId: string): number {
    return this.#idlePolls?.owedMs(sessionId) ?? 0
  }

  chargeIdlePoll(sessionId: string): void {
    this.#idlePolls?.charge(sessionId, 1)
  }
}
