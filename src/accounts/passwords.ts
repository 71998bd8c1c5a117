import { hash, verify } from '@node-rs/argon2'
import { type Caller, PasswordQueue, refuseGone } from './password-queue.ts'

/**
 * The minimum that the OWASP Password Storage Cheat Sheet recommends for Argon2id, which is the library's
 * default algorithm.
 */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** The cost of a hash, in the terms of Argon2. */
export type PasswordCost = typeof COST

/** Some keyboards type é as one character, others as two; for the user it is one letter (RFC 8265 §4.2). */
const composed = (password: string) => password.normalize('NFC')

/** Older versions hashed the password as typed. */
async function isHashOf(passwordHash: string, password: string): Promise<boolean> {
  if (await verify(passwordHash, composed(password))) return true
  return composed(password) !== password && verify(passwordHash, password)
}

/** Hashes and checks passwords in the thread pool. */
export class Passwords {
  readonly #queue = new PasswordQueue()
  readonly #cost: PasswordCost
  readonly #dummyHash: Promise<string>

  constructor(cost = COST) {
    this.#cost = cost
    // Checked when the name is unknown, so that the response takes as long as for a wrong password.
    this.#dummyHash = hash('nobody knows this one', cost)
  }

  /** How many hashes and checks are waiting for a core. */
  get waiting(): number {
    return this.#queue.waiting
  }

  /** @throws Problem overloaded when too many wait; that or invalid_request when the client goes */
  async hash(password: string, caller: Caller): Promise<string> {
    const passwordHash = await this.#queue.run(() => hash(composed(password), this.#cost), caller)
    refuseGone(caller.client)
    return passwordHash
  }

  /**
   * @param passwordHash undefined when there is no such account: takes the same time and resolves with false
   * @throws Problem overloaded when too many wait already, and when the client goes before its turn;
   * invalid_request when it goes later and the password is right: a wrong one is false, so that it counts
   */
  async matches(password: string, passwordHash: string | undefined, caller: Caller): Promise<boolean> {
    const against = passwordHash ?? (await this.#dummyHash)
    const right =
      (await this.#queue.run(() => isHashOf(against, password), caller)) && passwordHash !== undefined
    if (right) refuseGone(caller.client)
    return right
  }
}
