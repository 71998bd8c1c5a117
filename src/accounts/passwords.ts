import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import pLimit from 'p-limit'
import { overloaded, Problem } from '../problems.ts'

/**
 * OWASP Password Storage Cheat Sheet: the least that is recommended for Argon2id, which is the library's
 * default algorithm.
 */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** What a hash costs, in the terms of Argon2. */
export type PasswordCost = typeof COST

/** Hashes that may wait for a core. At about 30 ms each the last of them waits 2 s on two cores. */
const LINE_MAX = 128

/** The connection that a password came by. */
export interface Client {
  readonly destroyed: boolean
}

/** Nobody hears this answer. */
export function refuseGone(client: Client): void {
  if (client.destroyed) throw new Problem('invalid_request', 'The client has gone.')
}

/**
 * Hashes and checks passwords in the thread pool, one a core at a time, so that logins cannot hold up
 * messages.
 */
export class Passwords {
  readonly #line = pLimit(availableParallelism())
  readonly #cost: PasswordCost
  readonly #nobodys: Promise<string>

  constructor(cost = COST) {
    this.#cost = cost
    // Checked against when the name is unknown, so that the answer takes as long as with a wrong password.
    this.#nobodys = hash('nobody knows this one', cost)
  }

  /** @throws Problem overloaded when too many wait already; any, when the client has gone meanwhile */
  hash(password: string, client: Client): Promise<string> {
    return this.#inLine(() => hash(password, this.#cost), client)
  }

  /**
   * @param passwordHash undefined when there is no such account: then it takes the same time and is false
   * @throws Problem overloaded when too many wait already; any, when the client has gone meanwhile
   */
  async matches(password: string, passwordHash: string | undefined, client: Client): Promise<boolean> {
    const against = passwordHash ?? (await this.#nobodys)
    return (await this.#inLine(() => verify(against, password), client)) && passwordHash !== undefined
  }

  /** What a password is for is not done for a client that has given up: it would not learn of it. */
  #inLine<T>(work: () => Promise<T>, client: Client): Promise<T> {
    if (this.#line.pendingCount >= LINE_MAX) throw overloaded('Too many people are logging in right now.', 2)
    return this.#line(async () => {
      refuseGone(client)
      const result = await work()
      refuseGone(client)
      return result
    })
  }
}
