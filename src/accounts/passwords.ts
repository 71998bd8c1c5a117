import { hash, verify } from '@node-rs/argon2'
import { type Caller, PasswordLine, refuseGone } from './password-line.ts'

/**
 * OWASP Password Storage Cheat Sheet: the least that is recommended for Argon2id, which is the library's
 * default algorithm.
 */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** What a hash costs, in the terms of Argon2. */
export type PasswordCost = typeof COST

/** Some keyboards type é as one character, others as two; to their owner it is one letter (RFC 8265 §4.2). */
const composed = (password: string) => password.normalize('NFC')

/** Hashes of older versions are of the password as it was typed. */
async function isHashOf(passwordHash: string, password: string): Promise<boolean> {
  if (await verify(passwordHash, composed(password))) return true
  return composed(password) !== password && verify(passwordHash, password)
}

/** Hashes and checks passwords in the thread pool. */
export class Passwords {
  readonly #line = new PasswordLine()
  readonly #cost: PasswordCost
  readonly #nobodys: Promise<string>

  constructor(cost = COST) {
    this.#cost = cost
    // Checked against when the name is unknown, so that the answer takes as long as with a wrong password.
    this.#nobodys = hash('nobody knows this one', cost)
  }

  /** How many hashes and checks wait for a core. */
  get waiting(): number {
    return this.#line.waiting
  }

  /** @throws Problem overloaded when too many wait; that or invalid_request when the client goes */
  async hash(password: string, caller: Caller): Promise<string> {
    const passwordHash = await this.#line.run(() => hash(composed(password), this.#cost), caller)
    refuseGone(caller.client)
    return passwordHash
  }

  /**
   * @param passwordHash undefined when there is no such account: then it takes the same time and is false
   * @throws Problem overloaded when too many wait already, and when the client goes before its turn;
   * invalid_request when it goes later and the password is right: a wrong one is false, so that it counts
   */
  async matches(password: string, passwordHash: string | undefined, caller: Caller): Promise<boolean> {
    const against = passwordHash ?? (await this.#nobodys)
    const right =
      (await this.#line.run(() => isHashOf(against, password), caller)) && passwordHash !== undefined
    if (right) refuseGone(caller.client)
    return right
  }
}
