import { availableParallelism } from 'node:os'
import type { Address } from '../limits/address.ts'
import { overloaded, Problem } from '../problems.ts'

/**
 * Hashes that may wait for a core, once for callers that are trusted and once for others. At about 30 ms each
 * the last of them waits some seconds on two cores.
 */
const QUEUE_MAX = 128

const RETRY_SECONDS = 2

/** The client's connection: whether and when it closed. */
export interface Client {
  readonly destroyed: boolean
  on: (event: 'close', listener: () => void) => unknown
  off: (event: 'close', listener: () => void) => unknown
}

/** A caller that needs a password hashed or checked. */
export interface Caller {
  readonly client: Client
  readonly address: Address
  /** It has a session, or the account has logged in from its address before. */
  readonly trusted: boolean
}

/** A caller in the queue. */
interface QueuedCaller {
  readonly address: Address
  readonly start: () => void
  readonly refuse: (problem: Problem) => void
}

/** @throws Problem invalid_request when the client has gone, so that nothing more is done for it */
export function refuseGone(client: Client): void {
  if (client.destroyed) throw clientGone()
}

/** Never received: the client is gone. */
export const clientGone = () => new Problem('invalid_request', 'The client has disconnected.')

/** The client left while it waited; no password was checked. */
const leftTheQueue = () => overloaded('The client has disconnected.', RETRY_SECONDS)

/**
 * The queue for password hashes, one per core at a time, so that logins cannot delay messages. Trusted
 * callers and others take turns; within each group networks take turns, and within a network its addresses
 * (an IPv4 address is a network of its own).
 */
export class PasswordQueue {
  readonly #trusted = new Turns()
  readonly #others = new Turns()
  #trustedNext = true
  /** Free cores. */
  #free: number

  /** @param cores how many hashes run at a time */
  constructor(cores = availableParallelism()) {
    this.#free = cores
  }

  /** How many callers wait for a core. */
  get waiting(): number {
    return this.#trusted.size + this.#others.size
  }

  /**
   * Runs the work when its turn comes, unless the client has gone by then.
   *
   * @throws Problem overloaded when too many wait already, and when the client goes before its turn
   */
  async run<T>(work: () => Promise<T>, caller: Caller): Promise<T> {
    if (caller.client.destroyed) throw leftTheQueue()
    if (this.#free > 0) this.#free -= 1
    else await this.#wait(caller)
    try {
      return await work()
    } finally {
      const next = this.#next()
      if (next) next.start()
      else this.#free += 1
    }
  }

  /** Resolves when a core is free, which is then taken. */
  #wait({ client, address, trusted }: Caller): Promise<void> {
    const turns = trusted ? this.#trusted : this.#others
    return new Promise((resolve, reject) => {
      const leave = () => {
        turns.remove(queued)
        queued.refuse(leftTheQueue())
      }
      const queued: QueuedCaller = {
        address,
        start: () => {
          client.off('close', leave)
          resolve()
        },
        refuse: (problem) => {
          client.off('close', leave)
          reject(problem)
        },
      }
      client.on('close', leave)
      turns.add(queued)
      if (turns.size > QUEUE_MAX)
        turns
          .dropNewest(address)
          .refuse(overloaded('Too many people are logging in right now.', RETRY_SECONDS))
    })
  }

  #next(): QueuedCaller | undefined {
    const [first, second] = this.#trustedNext ? [this.#trusted, this.#others] : [this.#others, this.#trusted]
    this.#trustedNext = !this.#trustedNext
    return first.next() ?? second.next()
  }
}

/** Callers by network and address. The first of a map is next, and then moves to its end. */
class Turns {
  readonly #networks = new Map<string, Map<string, QueuedCaller[]>>()
  size = 0

  add(queued: QueuedCaller): void {
    const { key, network = key } = queued.address
    const addresses = this.#networks.get(network) ?? new Map<string, QueuedCaller[]>()
    this.#networks.set(network, addresses)
    addresses.set(key, [...(addresses.get(key) ?? []), queued])
    this.size += 1
  }

  next(): QueuedCaller | undefined {
    const [network, addresses] = this.#networks.entries().next().value ?? []
    const [key, [queued] = []] = addresses?.entries().next().value ?? []
    if (network === undefined || key === undefined || addresses === undefined || !queued) return undefined
    this.remove(queued)
    toTheEnd(addresses, key)
    toTheEnd(this.#networks, network)
    return queued
  }

  remove(queued: QueuedCaller): void {
    const { key, network = key } = queued.address
    const addresses = this.#networks.get(network)
    const callers = addresses?.get(key) ?? []
    const others = callers.filter((other) => other !== queued)
    this.size -= callers.length - others.length
    if (others.length > 0) addresses?.set(key, others)
    else addresses?.delete(key)
    if (addresses?.size === 0) this.#networks.delete(network)
  }

  /**
   * Removes the newest caller of the network that has the most, of its address with the most.
   *
   * @param latest the address that came last: it loses a tie
   */
  dropNewest(latest: Address): QueuedCaller {
    const { key, network = key } = latest
    const addresses = largest(this.#networks, network, (inside) =>
      [...inside.values()].reduce((sum, { length }) => sum + length, 0),
    )
    const queued = largest(addresses, key, ({ length }) => length).at(-1) as QueuedCaller
    this.remove(queued)
    return queued
  }
}

function toTheEnd<T>(map: Map<string, T>, key: string) {
  const value = map.get(key)
  if (value === undefined) return
  map.delete(key)
  map.set(key, value)
}

/** The largest value of a map with at least one; of several, that of the preferred key. */
function largest<T>(map: Map<string, T>, preferred: string, sizeOf: (value: T) => number): T {
  const preferredValue = map.get(preferred)
  const others = [...map.values()]
  return [...(preferredValue === undefined ? [] : [preferredValue]), ...others].reduce((most, value) =>
    sizeOf(value) > sizeOf(most) ? value : most,
  )
}
