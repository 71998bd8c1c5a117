import type { Address } from '../limits/address.ts'
import { invalidInvite, Problem, registrationClosed } from '../problems.ts'
import type { Accounts, Registration } from './accounts.ts'
import type { InviteLimits, Invites } from './invites.ts'
import type { Caller } from './password-queue.ts'

export interface RegistrationRules {
  /** Whether registration is open to all, needs an invite, or is closed. */
  registration: 'open' | 'invite' | 'closed'
}

interface Limits extends InviteLimits {
  register: <T>(address: Address, make: () => Promise<T>) => Promise<T>
  registerInvited: <T>(address: Address, make: () => Promise<T>) => Promise<T>
}

/** Registration: open to all, with an invite or closed, and how often. */
export class Registrations {
  readonly #accounts: Pick<Accounts, 'register'>
  readonly #invites: Pick<Invites, 'find'>
  readonly #limits: Limits
  readonly #rules: RegistrationRules

  constructor(
    accounts: Pick<Accounts, 'register'>,
    invites: Pick<Invites, 'find'>,
    limits: Limits,
    rules: RegistrationRules,
  ) {
    this.#accounts = accounts
    this.#invites = invites
    this.#limits = limits
    this.#rules = rules
  }

  /**
   * Opens an account. The name is looked up last, so a caller that may not register learns nothing about it.
   * Where registration is open, an invalid invite is ignored, so that a link passed on still works.
   *
   * @returns when the account was made, in ms since 1970
   * @throws Problem registration_closed, invalid_invite, username_taken, too_many_attempts
   */
  async open(registration: Registration, invite: string | undefined, caller: Caller): Promise<number> {
    const { registration: rule } = this.#rules
    if (rule === 'closed') throw registrationClosed()
    const { address } = caller
    const hash = invite === undefined ? undefined : await this.#invites.find(invite, address, this.#limits)
    if (hash)
      try {
        const make = () => this.#accounts.register(registration, caller, hash)
        return await this.#limits.registerInvited(address, make)
      } catch (error) {
        // Another registration took its last use meanwhile.
        if (rule !== 'open' || !(error instanceof Problem) || error.code !== 'invalid_invite') throw error
      }
    if (rule === 'invite') throw invalidInvite()
    return this.#limits.register(address, () => this.#accounts.register(registration, caller))
  }
}
