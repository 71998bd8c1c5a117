import { type ProblemCode, tooEarly } from '../problems.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

/** Limits of accounts and sessions; those without a session are in account-limits.ts. */
const limits = {
  /** Messages of one sender. */
  sends: { burst: 500, everyMs: 20, code: 'rate_limited' },
  /** Bytes of their text, in UTF-8: 8 MiB at once, and then 512 KiB a second. */
  sentBytes: { burst: 8 * 1_048_576, everyMs: 1_000 / 524_288, code: 'rate_limited' },
  /**
   * Users that one account looks up: an app may show hundreds of contacts and ask for each when it starts.
   */
  lookups: { burst: 2_000, everyMs: 20, code: 'rate_limited' },
  /** Message states that one account reads. */
  statuses: { burst: 2_000, everyMs: 20, code: 'rate_limited' },
  /** Acknowledgements of one account: a client may acknowledge each message of a full inbox by itself. */
  acknowledgements: { burst: 20_000, everyMs: 1, code: 'rate_limited' },
  /** Tokens that one account renews; each is written to the disk. */
  renewals: { burst: 100, everyMs: 1_000, code: 'rate_limited' },
  /** Reading and changing the block list. */
  blocks: { burst: 60, everyMs: 500, code: 'rate_limited' },
  /** Reading the own account or its sessions: an app may show how much is unread, and ask every second. */
  ownReads: { burst: 600, everyMs: 100, code: 'rate_limited' },
  /** Changes of the own account and ends of its sessions; each is written to the disk. */
  ownChanges: { burst: 100, everyMs: 1_000, code: 'rate_limited' },
  /**
   * Push subscriptions that one account registers: a page does so at each start. Each may have the server
   * send to a host of the client's choice.
   */
  subscriptions: { burst: 60, everyMs: 10_000, code: 'rate_limited' },
  /** Reading, making and revoking application tokens. */
  tokens: { burst: 200, everyMs: 500, code: 'rate_limited' },
} as const satisfies Record<string, Rate & { code: ProblemCode }>

type Limit = keyof typeof limits

/** Rate limits, counted in the memory of this process; a restart forgets them. */
export class RateLimits {
  readonly #buckets: Record<Limit, TokenBuckets> | undefined

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    const buckets = Object.entries(limits).map(([limit, rate]) => [limit, new TokenBuckets(rate)])
    this.#buckets = enabled ? (Object.fromEntries(buckets) as Record<Limit, TokenBuckets>) : undefined
  }

  /**
   * @param cost how much of the limit this takes
   * @throws Problem 429 with `Retry-After` when the limit is reached
   */
  take(limit: Limit, key: string | number, cost = 1): void {
    const waitMs = this.#buckets?.[limit].take(key, undefined, cost) ?? 0
    if (waitMs > 0) throw tooEarly(limits[limit].code, waitMs)
  }
}
