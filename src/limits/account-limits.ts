import { Problem, type ProblemCode, tooEarly } from '../problems.ts'
import type { Address } from './address.ts'
import { AddressBuckets } from './address-buckets.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

const MINUTE_MS = 60_000

/** Wrong passwords for one name from one address: ten guesses, then 288 a day. */
const GUESSES_OF_PAIR: Rate = { burst: 10, everyMs: 5 * MINUTE_MS }

/**
 * Wrong passwords for one name from everywhere: more than a hundred addresses guess at once before that keeps
 * anybody out, and then nobody at an address that is known to the account.
 */
const GUESSES_OF_NAME: Rate = { burst: 1_000, everyMs: 2_000 }

/**
 * Wrong passwords from one address, whatever the names. Refused logins count as well, so that those who go on
 * asking get no further; but others at that address wait for a minute at the most, once they stop.
 */
const GUESSES_FROM_ADDRESS: Rate = { burst: 60, everyMs: 2_000, debtMsMax: MINUTE_MS }

/**
 * What a login counts for its address when it is refused for the pair. An app that repeats its old password
 * once a second takes less than the address gets, and keeps nobody else there out.
 */
const REPEATED_GUESS = 1 / 5

/** Right passwords: much for people, little for a script that logs in for each message. */
const LOGINS_OF_ACCOUNT: Rate = { burst: 100, everyMs: 10_000 }
const LOGINS_FROM_ADDRESS: Rate = { burst: 5_000, everyMs: 200 }

/** The same where a password confirms something. Who has no session of the account cannot use them up. */
const GUESSES_OF_SESSION: Rate = { burst: 10, everyMs: 5 * MINUTE_MS }
const CONFIRMATIONS_OF_ACCOUNT: Rate = { burst: 100, everyMs: 10_000 }

/** New accounts from one address, and names that were taken: 20, and then 10 an hour. */
const REGISTRATIONS_FROM_ADDRESS: Rate = { burst: 20, everyMs: 6 * MINUTE_MS }

/** What a wrong password is answered with; the last where the client has gone before it could be. */
const GUESSES: ProblemCode[] = ['invalid_credentials', 'wrong_password', 'invalid_request']

/**
 * How often passwords may be tried and accounts made. Counts in the memory of this process; a restart
 * forgets.
 *
 * Each refuses with the Problem too_many_attempts, before a password is looked at.
 */
export class AccountLimits {
  readonly #enabled: boolean
  readonly #guessesOfPair = new AddressBuckets(GUESSES_OF_PAIR)
  readonly #guessesOfName = new TokenBuckets(GUESSES_OF_NAME)
  readonly #guessesFromAddress = new AddressBuckets(GUESSES_FROM_ADDRESS)
  readonly #loginsOfAccount = new TokenBuckets(LOGINS_OF_ACCOUNT)
  readonly #loginsFromAddress = new AddressBuckets(LOGINS_FROM_ADDRESS)
  readonly #guessesOfSession = new TokenBuckets(GUESSES_OF_SESSION)
  readonly #confirmationsOfAccount = new TokenBuckets(CONFIRMATIONS_OF_ACCOUNT)
  readonly #registrationsFromAddress = new AddressBuckets(REGISTRATIONS_FROM_ADDRESS)

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    this.#enabled = enabled
  }

  /** Counts a registration, whatever comes of it. */
  register(address: Address): void {
    if (this.#enabled) refuse(this.#registrationsFromAddress.take(address))
  }

  /**
   * Lets a login try its password.
   *
   * @param known whether the account has logged in from this address before. Then nothing that others do at
   * other addresses keeps it out, nor guesses at other names from its own.
   */
  async login<T>(
    username: string,
    address: Address,
    known: boolean,
    tryPassword: () => Promise<T>,
  ): Promise<T> {
    if (!this.#enabled) return tryPassword()
    refuse(Math.max(this.#loginsOfAccount.waitMs(username), this.#loginsFromAddress.waitMs(address)))
    const giveBack = known ? this.#takeKnown(username, address) : this.#takeUnknown(username, address)
    const result = await countWrong(tryPassword, giveBack)
    this.#loginsOfAccount.take(username)
    this.#loginsFromAddress.take(address)
    return result
  }

  /** Lets a session confirm with the password. */
  async confirm<T>(
    { id, username }: { id: string; username: string },
    tryPassword: () => Promise<T>,
  ): Promise<T> {
    if (!this.#enabled) return tryPassword()
    refuse(this.#confirmationsOfAccount.waitMs(username))
    refuse(this.#guessesOfSession.take(id))
    const result = await countWrong(tryPassword, () => this.#guessesOfSession.giveBack(id))
    this.#confirmationsOfAccount.take(username)
    return result
  }

  /** @returns how to give back what was taken */
  #takeKnown(username: string, { key }: Address): () => void {
    // Its network has other addresses.
    const alone = { key, network: undefined }
    refuse(this.#guessesOfPair.take(alone, ` ${username}`))
    return () => this.#guessesOfPair.giveBack(alone, ` ${username}`)
  }

  /** @returns how to give back what was taken */
  #takeUnknown(username: string, address: Address): () => void {
    const pairWaitMs = this.#guessesOfPair.waitMs(address, ` ${username}`)
    const cost = pairWaitMs > 0 ? REPEATED_GUESS : 1
    refuse(Math.max(pairWaitMs, this.#guessesFromAddress.take(address, '', cost)))
    this.#guessesOfPair.take(address, ` ${username}`)
    const nameWaitMs = this.#guessesOfName.take(username)
    if (nameWaitMs > 0) this.#guessesOfPair.giveBack(address, ` ${username}`)
    refuse(nameWaitMs)
    return () => {
      this.#guessesFromAddress.giveBack(address)
      this.#guessesOfPair.giveBack(address, ` ${username}`)
      this.#guessesOfName.giveBack(username)
    }
  }
}

/** @throws Problem too_many_attempts when there is something to wait for */
function refuse(waitMs: number) {
  if (waitMs > 0) throw tooEarly('too_many_attempts', waitMs)
}

/** Counted first and given back, so that guesses that run side by side do not slip through. */
async function countWrong<T>(tryPassword: () => Promise<T>, giveBack: () => void): Promise<T> {
  let wrong = false
  try {
    return await tryPassword()
  } catch (error) {
    wrong = error instanceof Problem && GUESSES.includes(error.code)
    throw error
  } finally {
    if (!wrong) giveBack()
  }
}
