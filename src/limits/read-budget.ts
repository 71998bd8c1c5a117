import { type Rate, TokenBuckets } from './token-buckets.ts'

const KIB = 1_024

/**
 * In KiB, for an account that reads the same messages again. It may do so with 128 MiB at once; from then on
 * it gets 2 MiB a second.
 */
const PAGES: Rate = { burst: 128 * KIB, everyMs: 1_000 / (2 * KIB) }

/** For a session: polls that find nothing and do not wait either. */
const IDLE_POLLS: Rate = { burst: 30, everyMs: 500 }

/**
 * How much is read without waiting for it. What was read is charged afterwards, because nobody knows before
 * what it costs; who owes something then may not read. Counts in the memory of this process; a restart
 * forgets.
 */
export class ReadBudget {
  readonly #pages: TokenBuckets | undefined
  readonly #idlePolls: TokenBuckets | undefined

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    this.#pages = enabled ? new TokenBuckets(PAGES) : undefined
    this.#idlePolls = enabled ? new TokenBuckets(IDLE_POLLS) : undefined
  }

  /** For how many ms an account may not read what is there; 0 when it may. */
  pagesOwedMs(accountId: number): number {
    return this.#pages?.owedMs(accountId) ?? 0
  }

  /** @param cost of a page, in characters and what is counted beside them */
  chargePage(accountId: number, cost: number): void {
    this.#pages?.charge(accountId, cost / KIB)
  }

  /** For how many ms a session may not ask for nothing; 0 when it may. */
  idlePollsOwedMs(sessionId: string): number {
    return this.#idlePolls?.owedMs(sessionId) ?? 0
  }

  chargeIdlePoll(sessionId: string): void {
    this.#idlePolls?.charge(sessionId, 1)
  }
}
