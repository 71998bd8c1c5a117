import { Problem, type ProblemCode, tooEarly } from '../problems.ts'
import type { Address } from './address.ts'
import { AddressBuckets } from './address-buckets.ts'
import { type Rate, TokenBuckets } from './token-buckets.ts'

const MINUTE_MS = 60_000

/** Wrong passwords for one name from one address: ten guesses, then 288 a day. */
const GUESSES_OF_PAIR: Rate = { burst: 10, everyMs: 5 * MINUTE_MS }

/**
 * Wrong passwords for one name from all addresses: it takes over a hundred addresses that guess at once to
 * lock anyone out, and addresses known to the account are never locked out.
 */
const GUESSES_OF_NAME: Rate = { burst: 1_000, everyMs: 2_000 }

/**
 * Wrong passwords from one address, for any names. Logins refused for them count as well, so going on gains
 * nothing; others at that address wait a minute at most once the guessing stops.
 */
const GUESSES_FROM_ADDRESS: Rate = { burst: 60, everyMs: 2_000, debtMsMax: MINUTE_MS }

/** Right passwords: plenty for people, too few for a script that logs in for each message. */
const LOGINS_OF_ACCOUNT: Rate = { burst: 100, everyMs: 10_000 }
const LOGINS_FROM_ADDRESS: Rate = { burst: 5_000, everyMs: 200 }

/** The same where a password confirms something. Only a session of the account can use them up. */
const GUESSES_OF_SESSION: Rate = { burst: 10, everyMs: 5 * MINUTE_MS }
const CONFIRMATIONS_OF_ACCOUNT: Rate = { burst: 100, everyMs: 10_000 }

/** New accounts from one address, and names that were taken: 20, and then 10 an hour. */
const REGISTRATIONS_FROM_ADDRESS: Rate = { burst: 20, everyMs: 6 * MINUTE_MS }

/**
 * Unknown application tokens from one address: each costs a read. Concurrent requests count as well, up to a
 * minute.
 */
const UNKNOWN_TOKENS_FROM_ADDRESS: Rate = { burst: 100, everyMs: 100, debtMsMax: MINUTE_MS }

/** Invalid invites from one address: each costs a read. */
const INVALID_INVITES_FROM_ADDRESS: Rate = { burst: 100, everyMs: 100, debtMsMax: MINUTE_MS }

/**
 * Names that were taken, asked for with a valid invite: 100, and then one a minute. Accounts that are made
 * with one are not counted, so that a class in one network can register.
 */
const TAKEN_NAMES_FROM_ADDRESS: Rate = { burst: 100, everyMs: MINUTE_MS }

/** The problems that count as a wrong attempt: a wrong password, and a right one for a disabled account. */
const WRONG: ProblemCode[] = ['invalid_credentials', 'wrong_password', 'account_disabled']

/** A bucket that an attempt may count in. */
interface Counter {
  begin: () => number
  end: (counts: boolean) => void
}

/**
 * How often passwords may be tried and accounts made. Counted in the memory of this process; a restart
 * forgets it.
 *
 * Each refuses with the Problem too_many_attempts, before a password is checked. Concurrent attempts are
 * limited to what may still count; one more is refused for a moment.
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
  readonly #invalidInvitesFromAddress = new AddressBuckets(INVALID_INVITES_FROM_ADDRESS)
  readonly #takenNamesFromAddress = new AddressBuckets(TAKEN_NAMES_FROM_ADDRESS)
  readonly #unknownTokensFromAddress = new AddressBuckets(UNKNOWN_TOKENS_FROM_ADDRESS)

  /** @param enabled false to let everything pass */
  constructor(enabled: boolean) {
    this.#enabled = enabled
  }

  /** Runs a registration. It counts when the account was made, or its name is taken. */
  async register<T>(address: Address, make: () => Promise<T>): Promise<T> {
    if (!this.#enabled) return make()
    const counter = ofAddress(this.#registrationsFromAddress, address)
    return attempt([counter], make, (code) => code === undefined || code === 'username_taken')
  }

  /** Runs a registration with a valid invite. It counts only when the name is taken. */
  async registerInvited<T>(address: Address, make: () => Promise<T>): Promise<T> {
    if (!this.#enabled) return make()
    const counter = ofAddress(this.#takenNamesFromAddress, address)
    return attempt([counter], make, (code) => code === 'username_taken')
  }

  /** Runs the look-up of an invite. It counts when the invite is not valid. */
  async findInvite(address: Address, find: () => Promise<boolean>): Promise<boolean> {
    if (!this.#enabled) return find()
    refuse(this.#invalidInvitesFromAddress.waitMs(address))
    const valid = await find()
    if (!valid) this.#invalidInvitesFromAddress.take(address)
    return valid
  }

  /**
   * Runs the password check of a login.
   *
   * @param findOrigin whether the account has logged in from this address before. Then neither attempts from
   * other addresses nor guesses at other names from this one lock it out. Not called when the login is
   * refused anyway.
   */
  async login<O extends { known: boolean }, T>(
    username: string,
    address: Address,
    findOrigin: () => Promise<O>,
    tryPassword: (origin: O) => Promise<T>,
  ): Promise<T> {
    if (!this.#enabled) return tryPassword(await findOrigin())
    const scope = ` ${username}`
    // A known address says nothing about others of its network.
    const alone = { key: address.key, network: undefined }
    refuse(this.#loginsOfAccount.waitMs(username))
    refuse(this.#loginsFromAddress.waitMs(address))
    refuse(this.#guessesOfPair.waitMs(alone, scope))
    const origin = await findOrigin()
    const counters = origin.known
      ? [ofAddress(this.#guessesOfPair, alone, scope)]
      : [
          ofAddress(this.#guessesOfPair, address, scope),
          ofAddress(this.#guessesFromAddress, address),
          ofKey(this.#guessesOfName, username),
        ]
    const result = await attempt(counters, () => tryPassword(origin), isWrong)
    this.#loginsOfAccount.take(username)
    this.#loginsFromAddress.take(address)
    return result
  }

  /** Runs the password check with which a session confirms something. */
  async confirm<T>(
    { id, username }: { id: string; username: string },
    tryPassword: () => Promise<T>,
  ): Promise<T> {
    if (!this.#enabled) return tryPassword()
    refuse(this.#confirmationsOfAccount.waitMs(username))
    const result = await attempt([ofKey(this.#guessesOfSession, id)], tryPassword, isWrong)
    this.#confirmationsOfAccount.take(username)
    return result
  }

  /**
   * Runs the look-up of an application token that is not cached. It counts when there is none.
   *
   * @throws Problem rate_limited
   */
  async findToken<T>(address: Address, find: () => Promise<T | undefined>): Promise<T | undefined> {
    if (!this.#enabled) return find()
    refuse(this.#unknownTokensFromAddress.waitMs(address), 'rate_limited')
    const found = await find()
    if (found === undefined) this.#unknownTokensFromAddress.take(address)
    return found
  }
}

const ofAddress = (buckets: AddressBuckets, address: Address, scope = ''): Counter => ({
  begin: () => buckets.begin(address, scope),
  end: (counts) => buckets.end(address, scope, counts),
})

const ofKey = (buckets: TokenBuckets, key: string): Counter => ({
  begin: () => buckets.begin(key),
  end: (counts) => buckets.end(key, counts),
})

const isWrong = (code: ProblemCode | undefined) => code !== undefined && WRONG.includes(code)

/** @throws Problem with this code when there is something to wait for */
function refuse(waitMs: number, code: 'rate_limited' | 'too_many_attempts' = 'too_many_attempts') {
  if (waitMs > 0) throw tooEarly(code, waitMs)
}

/**
 * Runs an attempt if each counter has room for it.
 *
 * @param counts whether it counts: with the code of its problem, undefined when it succeeded
 * @throws Problem too_many_attempts; whatever the attempt throws
 */
async function attempt<T>(
  counters: readonly Counter[],
  make: () => Promise<T>,
  counts: (code: ProblemCode | undefined) => boolean,
): Promise<T> {
  const begun: Counter[] = []
  let counted = false
  try {
    for (const counter of counters) {
      refuse(counter.begin())
      begun.push(counter)
    }
    const result = await make()
    counted = counts(undefined)
    return result
  } catch (error) {
    counted = error instanceof Problem && counts(error.code)
    throw error
  } finally {
    for (const counter of begun) counter.end(counted)
  }
}
