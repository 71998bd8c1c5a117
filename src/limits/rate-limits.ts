import { isIPv6 } from 'node:net'
import { Problem, type ProblemCode, tooEarly } from '../problems.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

/**
 * What is limited, by whom, and what who asks for more is told. Changes nothing for people, stops what
 * guesses and floods.
 */
const limits = {
  /** Failed passwords for one name: a thousand guesses take three hours. */
  passwordsOfName: { burst: 10, everyMs: 10_000, code: 'too_many_attempts' },
  /** Failed passwords from one address, whatever the names. */
  passwordsFromAddress: { burst: 60, everyMs: 2_000, code: 'too_many_attempts' },
  /** New accounts from one address: a class in a school may register together. */
  registrationsFromAddress: { burst: 60, everyMs: 6_000, code: 'too_many_attempts' },
  /** Messages of one sender. */
  sends: { burst: 500, everyMs: 20, code: 'rate_limited' },
  /** Names that one account looks up: an app may show hundreds of contacts, and ask for each at its start. */
  lookups: { burst: 2_000, everyMs: 20, code: 'rate_limited' },
  /** States of messages that one account asks for. */
  statuses: { burst: 2_000, everyMs: 20, code: 'rate_limited' },
  /** Acknowledgements of one account: a client may acknowledge each message of a full inbox by itself. */
  acknowledgements: { burst: 20_000, everyMs: 1, code: 'rate_limited' },
  /** Tokens that one account renews; each is written to the disk. */
  renewals: { burst: 100, everyMs: 1_000, code: 'rate_limited' },
} as const satisfies Record<string, Rate & { code: ProblemCode }>

type Limit = keyof typeof limits

/** What a wrong password is answered with; the last where the client has gone before it could be. */
const GUESSES: ProblemCode[] = ['invalid_credentials', 'wrong_password', 'invalid_request']

/** Counts in the memory of this process; a restart forgets. */
export class RateLimits {
  readonly #buckets: Record<Limit, TokenBuckets> | undefined

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    const buckets = Object.entries(limits).map(([limit, rate]) => [limit, new TokenBuckets(rate)])
    this.#buckets = enabled ? (Object.fromEntries(buckets) as Record<Limit, TokenBuckets>) : undefined
  }

  /** @throws Problem 429 with `Retry-After` when the limit is reached */
  take(limit: Limit, key: string | number): void {
    const waitMs = this.#buckets?.[limit].take(key) ?? 0
    if (waitMs > 0) throw tooEarly(limits[limit].code, waitMs)
  }

  /**
   * Lets a password be tried; only a wrong one counts.
   *
   * @param address as {@link addressKey} gives it
   * @throws Problem too_many_attempts, before the password is looked at
   */
  async attempt<T>(username: string, address: string, tryPassword: () => Promise<T>): Promise<T> {
    this.take('passwordsFromAddress', address)
    try {
      this.take('passwordsOfName', username)
    } catch (error) {
      // No password was tried: whoever insists on one name must not lock out the others at that address.
      this.#buckets?.passwordsFromAddress.giveBack(address)
      throw error
    }
    // Counted first and given back, so that guesses that run side by side do not slip through.
    let counts = false
    try {
      return await tryPassword()
    } catch (error) {
      counts = error instanceof Problem && GUESSES.includes(error.code)
      throw error
    } finally {
      if (!counts) {
        this.#buckets?.passwordsFromAddress.giveBack(address)
        this.#buckets?.passwordsOfName.giveBack(username)
      }
    }
  }
}

/** One customer of a provider has a whole /64 of IPv6 addresses (RFC 6177), so that counts as one address. */
export function addressKey(address: string): string {
  const [, ipv4] = /^::ffff:([\d.]+)$/i.exec(address) ?? []
  if (ipv4 !== undefined || !isIPv6(address)) return ipv4 ?? address
  const network = expandedIPv6(address).slice(0, 4)
  return network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')
}

function expandedIPv6(address: string): string[] {
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(8 - left.length - right.length, 0)
  return [...left, ...Array<string>(zeros).fill('0'), ...right]
}
