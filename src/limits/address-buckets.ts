import { monotonicMs } from '../clock.ts'
import type { Address } from './address.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

/**
 * How many times as much an IPv6 network of 48 bits may as one address: it may be one customer, who has
 * 65 536 addresses as they are counted here, or some hundred of them.
 */
const NETWORK_FACTOR = 10

/** Token buckets by address, and for IPv6 by network as well. */
export class AddressBuckets {
  readonly #byAddress: TokenBuckets
  readonly #byNetwork: TokenBuckets

  constructor(rate: Rate) {
    const { burst, everyMs } = rate
    this.#byAddress = new TokenBuckets(rate)
    this.#byNetwork = new TokenBuckets({
      ...rate,
      burst: burst * NETWORK_FACTOR,
      everyMs: everyMs / NETWORK_FACTOR,
    })
  }

  /**
   * Takes a token of the address, and of its network.
   *
   * @param of what else the buckets are for, a name perhaps
   * @param cost how many tokens
   * @returns 0, or how many ms to wait until there is one again
   */
  take({ key, network }: Address, of = '', cost = 1): number {
    const nowMs = monotonicMs()
    const waitMs = this.#byAddress.take(key + of, nowMs, cost)
    if (waitMs > 0 || network === undefined) return waitMs
    const networkWaitMs = this.#byNetwork.take(network + of, nowMs, cost)
    if (networkWaitMs > 0) this.#byAddress.giveBack(key + of, cost)
    return networkWaitMs
  }

  /** @returns how many ms to wait until there is a token; 0 when there is one now. Takes nothing. */
  waitMs({ key, network }: Address, of = ''): number {
    const networkWaitMs = network === undefined ? 0 : this.#byNetwork.waitMs(network + of)
    return Math.max(this.#byAddress.waitMs(key + of), networkWaitMs)
  }

  /** Puts a token back, for what turned out not to count. */
  giveBack({ key, network }: Address, of = ''): void {
    this.#byAddress.giveBack(key + of)
    if (network !== undefined) this.#byNetwork.giveBack(network + of)
  }
}
