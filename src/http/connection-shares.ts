import { addressOf } from '../limits/address.ts'
import type { Connection } from './connection.ts'
import { newSource, type Source } from './request-turns.ts'

/** With more than half of all connections open, an address may hold one in N. */
const SHARE = 8

/** The minimum time between two searches for the heaviest address, since each visits all addresses. */
const SEARCH_EVERY_MS = 1_000

/** The minimum time after a search that found none. */
const RETRY_MS = 50

/** An address with connections, or an IPv6 network of 64 bits. */
export interface Holder extends Source {
  readonly key: string
  open: number
  /** Connections without an unanswered request, the longest quiet first. */
  quiet: Set<Connection>
}

/**
 * Shares connections between addresses when they run short. With more than half in use, an address that has
 * its share gets a new one only in place of a quiet one of its own. When all are in use, a new connection
 * replaces a quiet one of the heaviest address. Connections with an unanswered request are never closed for
 * another.
 */
export class ConnectionShares {
  readonly #max: number
  readonly #isProxy: (address: string) => boolean
  readonly #holders = new Map<string, Holder>()
  #open = 0
  #heaviest: Holder | undefined
  #searchedAtMs = Number.NEGATIVE_INFINITY

  /** @param isProxy whether an address is a proxy with many clients, which has no limit */
  constructor(max: number, isProxy: (address: string) => boolean) {
    this.#max = max
    this.#isProxy = isProxy
  }

  /** Counts a connection, and may close another one for it. Returns false if there is no room. */
  admit(connection: Connection): boolean {
    const { remoteAddress = '' } = connection.socket
    const holder = this.#isProxy(remoteAddress) ? undefined : this.#holderOf(remoteAddress)
    if (!this.#makeRoom(holder)) return false

    this.#open += 1
    if (!holder) return true
    this.#holders.set(holder.key, holder)
    holder.open += 1
    holder.quiet.add(connection)
    connection.holder = holder
    return true
  }

  /** A connection has become quiet, or no longer is. */
  noteQuiet(connection: Connection, quiet: boolean): void {
    const { holder, socket } = connection
    if (quiet && !socket.destroyed) holder?.quiet.add(connection)
    else holder?.quiet.delete(connection)
  }

  /** No longer counts a closed connection. */
  release(connection: Connection): void {
    this.#open -= 1
    const { holder } = connection
    if (!holder) return
    holder.open -= 1
    holder.quiet.delete(connection)
    if (holder.open === 0) this.#holders.delete(holder.key)
  }

  #holderOf(ip: string): Holder {
    const { key } = addressOf({ ip })
    return this.#holders.get(key) ?? newHolder(key)
  }

  #makeRoom(newcomer: Holder | undefined): boolean {
    const share = Math.max(Math.floor(this.#max / SHARE), 1)
    if (newcomer && newcomer.open >= share && this.#open >= this.#max / 2) return closeOneOf(newcomer)
    if (this.#open < this.#max) return true
    const heaviest = this.#findHeaviest()
    // +1: otherwise two addresses with equally many would take from each other in turn.
    return heaviest !== undefined && heaviest.open > (newcomer?.open ?? 0) + 1 && closeOneOf(heaviest)
  }

  #findHeaviest(): Holder | undefined {
    const nowMs = performance.now()
    const knownForMs = nowMs - this.#searchedAtMs
    // Search again when the heaviest address has no quiet connection left.
    if (
      this.#heaviest ? this.#heaviest.quiet.size > 0 && knownForMs < SEARCH_EVERY_MS : knownForMs < RETRY_MS
    )
      return this.#heaviest
    this.#searchedAtMs = nowMs
    this.#heaviest = undefined
    for (const holder of this.#holders.values())
      if (holder.quiet.size > 0 && holder.open > (this.#heaviest?.open ?? 0)) this.#heaviest = holder
    return this.#heaviest
  }
}

const newHolder = (key: string): Holder => ({
  key,
  open: 0,
  quiet: new Set(),
  ...newSource(),
})

/** Closes the longest quiet connection. Returns false if none is quiet. */
function closeOneOf({ quiet }: Holder): boolean {
  const [longest] = quiet
  if (!longest) return false
  quiet.delete(longest)
  longest.socket.destroy()
  return true
}
