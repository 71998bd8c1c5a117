import { monotonicMs } from '../clock.ts'
import type { Address } from './address.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

/**
 * The limit of an IPv6 network of 48 bits, as a multiple of that of one address: it may belong to one
 * customer with 65 536 addresses as counted here, or to some hundred customers.
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
   * @returns 0, or how many ms to wait until there is one again
   */
  take({ key, network }: Address): number {
    const nowMs = monotonicMs()
    const waitMs = this.#byAddress.take(key, nowMs)
    if (waitMs > 0 || network === undefined) return waitMs
    const networkWaitMs = this.#byNetwork.take(network, nowMs)
    if (networkWaitMs > 0) this.#byAddress.returnToken(key)
    return networkWaitMs
  }

  /**
   * Begins an attempt that may turn out to count, as that of TokenBuckets does.
   *
   * @param scope added to the key, such as a name
   * @returns 0, and then `end` must follow; or how many ms to wait
   */
  begin({ key, network }: Address, scope: string): number {
    const nowMs = monotonicMs()
    const waitMs = this.#byAddress.begin(key + scope, nowMs)
    if (waitMs > 0 || network === undefined) return waitMs
    const networkWaitMs = this.#byNetwork.begin(network + scope, nowMs)
    if (networkWaitMs > 0) this.#byAddress.end(key + scope, false)
    return networkWaitMs
  }

  /** @param counts whether the attempt takes its token */
  end({ key, network }: Address, scope: string, counts: boolean): void {
    this.#byAddress.end(key + scope, counts)
    if (network !== undefined) this.#byNetwork.end(network + scope, counts)
  }

  /** @returns how many ms to wait until there is a token; 0 when there is one now. Takes nothing. */
  waitMs({ key, network }: Address, scope = ''): number {
    const networkWaitMs = network === undefined ? 0 : this.#byNetwork.waitMs(network + scope)
    return Math.max(this.#byAddress.waitMs(key + scope), networkWaitMs)
  }
}
