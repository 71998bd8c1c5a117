import { createHmac, hkdfSync } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Database, KnownAddress } from '../database/database.ts'
import type { Address } from '../limits/address.ts'

/** How often a login from a known address is written: enough to know which are in use. */
const WRITE_EVERY_MS = 86_400_000

/** Length of a hash: two addresses of an account never collide. */
const HASH_BYTES = 16

/** The source address of a login attempt. */
export interface Origin {
  /** Whether the account has logged in from it before. */
  known: boolean
  /** Written by a login; undefined when that was done recently. */
  toRemember: KnownAddress | undefined
}

/**
 * The addresses from which accounts have logged in. The store holds keyed hashes, which reveal nothing
 * without the keys; these are derived from the secrets that sign tokens.
 */
export class KnownAddresses {
  readonly #database: Pick<Database, 'lastLoginFrom'>
  /** The first makes new hashes; the others belong to secrets that are being rotated out. */
  readonly #keys: readonly Buffer[]
  readonly #clock: Clock

  constructor(database: Pick<Database, 'lastLoginFrom'>, secrets: readonly string[], clock: Clock) {
    this.#database = database
    this.#keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'known addresses', 32)))
    this.#clock = clock
  }

  /** Takes the same time whether or not there is an account of that name. */
  async find(username: string, { key: address }: Address): Promise<Origin> {
    const hashes = this.#keys.map((key) => {
      const hash = createHmac('sha256', key).update(`${username} ${address}`).digest()
      return Uint8Array.from(hash.subarray(0, HASH_BYTES))
    })
    const [newest] = hashes
    const lastLoginAtMs = await this.#database.lastLoginFrom(username, hashes)
    const nowMs = this.#clock()
    const recent = lastLoginAtMs !== undefined && Math.abs(nowMs - lastLoginAtMs) < WRITE_EVERY_MS
    const toRemember = recent || !newest ? undefined : { address: newest, lastLoginAtMs: nowMs }
    return { known: lastLoginAtMs !== undefined, toRemember }
  }
}
