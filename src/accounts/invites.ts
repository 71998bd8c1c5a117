import { createHash, randomInt } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Database, Invite } from '../database/database.ts'
import type { Address } from '../limits/address.ts'
import { Problem } from '../problems.ts'

/** Crockford's base32: no letter looks like a digit. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Of five bits each: 80 bits cannot be guessed. */
const CODE = new RegExp(`^[${ALPHABET}]{16}$`)
const CODE_LENGTH = 16

type InviteDatabase = Pick<Database, 'createInvite' | 'isInviteValid' | 'listInvites' | 'revokeInvite'>

export interface InviteRules {
  /** How many accounts may be made with it. */
  uses: number
  /** Undefined when it never expires. */
  expiresInMs: number | undefined
  note: string | undefined
}

/** An invite with its code, which is shown once: the store has only the hash. */
export interface IssuedInvite extends Invite {
  /** Four groups of four, such as `7ZKD-0QXM-V3TE-9HBW`. */
  code: string
}

/** Limits how often unknown invites are looked up. */
export interface InviteLimits {
  findInvite: (address: Address, find: () => Promise<boolean>) => Promise<boolean>
}

/** Permissions to register, which an operator gives. */
export class Invites {
  readonly #database: InviteDatabase
  readonly #clock: Clock

  constructor(database: InviteDatabase, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /** Makes an invite. */
  async create({ uses, expiresInMs, note }: InviteRules): Promise<IssuedInvite> {
    const letters = Array.from({ length: CODE_LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length)))
    const code = letters.join('').replaceAll(/.{4}(?=.)/g, '$&-')
    const createdAtMs = this.#clock()
    const expiresAtMs = expiresInMs === undefined ? undefined : createdAtMs + expiresInMs
    const given = { note, uses, createdAtMs, expiresAtMs }
    const id = await this.#database.createInvite({ ...given, hash: hashOf(letters.join('')) })
    return { id, code, used: 0, ...given }
  }

  /** In the order in which they were made, also those that are used up or have expired. */
  list(): Promise<Invite[]> {
    return this.#database.listInvites()
  }

  /**
   * Revokes an invite. Accounts that were made with it stay.
   *
   * @throws Problem not_found
   */
  async revoke(id: number): Promise<void> {
    if (await this.#database.revokeInvite(id)) return
    throw new Problem('not_found', `There is no invite ${id}.`)
  }

  /**
   * The hash of a code that is valid now. Undefined for a code that is unknown, used up, expired or revoked.
   *
   * @param code as typed: in any case, with or without hyphens, with O for 0 and I or L for 1
   * @throws Problem too_many_attempts after too many wrong codes from this address
   */
  async find(code: string, address: Address, limits: InviteLimits): Promise<Uint8Array | undefined> {
    const plain = code.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1')
    if (!CODE.test(plain)) return undefined
    const hash = hashOf(plain)
    const isValid = () => this.#database.isInviteValid(hash, this.#clock())
    return (await limits.findInvite(address, isValid)) ? hash : undefined
  }
}

const hashOf = (code: string) => Uint8Array.from(createHash('sha256').update(code).digest())
