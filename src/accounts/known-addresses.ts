import { createHmac, hkdfSync } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Database, KnownAddress } from '../database/database.ts'
import type { Address } from '../limits/address.ts'

/** A login from an address that is known is written so often: often enough to know which are in use. */
const WRITE_EVERY_MS = 86_400_000

/** Of a hash that is kept: two addresses of an account never share one. */
const HASH_BYTES = 16

/** Where an account may be logging in from. */
export interface Origin {
  /** Whether it has done so before. */
  known: boolean
  /** What a login should write; undefined when it was written lately. */
  toRemember: KnownAddress | undefined
}

/**
 * The addresses from which accounts have logged in. The store has keyed hashes of them, which tell nothing to
 * those who have only the store; the keys are made from the secrets that sign tokens.
 */
export class KnownAddresses {
  readonly #database: Pick<Database, 'lastLoginFrom'>
  /** The first makes new hashes; the others are those of secrets that are rotated out. */
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
