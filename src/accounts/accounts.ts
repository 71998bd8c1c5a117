import type { Clock } from '../clock.ts'
import type { Account, AccountChanges, Database, InboxCounters } from '../database/database.ts'
import { accountDisabled, invalidCredentials, invalidInvite, Problem, sessionEnded } from '../problems.ts'
import type { ApplicationTokens } from './application-tokens.ts'
import type { Caller } from './password-queue.ts'
import type { Passwords } from './passwords.ts'
import type { Session, Sessions } from './sessions.ts'

type AccountDatabase = Pick<
  Database,
  'createAccount' | 'findAccount' | 'countInbox' | 'updateAccount' | 'changePassword' | 'deleteAccount'
>

export interface Registration {
  username: string
  password: string
  displayName: string
}

export interface OwnAccount extends Account {
  inbox: InboxCounters
}

/** Accounts: registration, password checks, and changes by their owner. */
export class Accounts {
  readonly #database: AccountDatabase
  readonly #passwords: Passwords
  readonly #sessions: Sessions
  readonly #applicationTokens: Pick<ApplicationTokens, 'forget'>
  readonly #clock: Clock

  constructor(
    database: AccountDatabase,
    passwords: Passwords,
    sessions: Sessions,
    applicationTokens: Pick<ApplicationTokens, 'forget'>,
    clock: Clock,
  ) {
    this.#database = database
    this.#passwords = passwords
    this.#sessions = sessions
    this.#applicationTokens = applicationTokens
    this.#clock = clock
  }

  /**
   * @param inviteHash of an invite of which the account takes one use
   * @returns when the account was made, in ms since 1970
   * @throws Problem username_taken, invalid_invite
   */
  async register(
    { username, password, displayName }: Registration,
    caller: Caller,
    inviteHash?: Uint8Array,
  ): Promise<number> {
    const passwordHash = await this.#passwords.hash(password, caller)
    const createdAtMs = this.#clock()
    const account = { username, displayName, passwordHash, createdAtMs }
    const outcome = await this.#database.createAccount(account, inviteHash)
    if (outcome === 'invalid_invite') throw invalidInvite()
    if (outcome === 'username_taken')
      throw new Problem('username_taken', `The username ${username} is taken.`)
    return createdAtMs
  }

  find(username: string): Promise<Account | undefined> {
    return this.#database.findAccount(username)
  }

  /**
   * The account of a session, and what its inbox holds for that session.
   *
   * @throws Problem session_ended when it was deleted meanwhile
   */
  async own({ id, accountId, username, acknowledgedSeq }: Session): Promise<OwnAccount> {
    const [account, inbox] = await Promise.all([
      this.#database.findAccount(username),
      // The latest acknowledgement may still be on its way to the store.
      this.#database.countInbox(accountId, { sessionId: id, atLeast: acknowledgedSeq }),
    ])
    if (!account) throw sessionEnded()
    return { ...account, inbox }
  }

  /**
   * Makes the changes that are not undefined, at every node.
   *
   * @throws Problem session_ended
   */
  async update(session: Session, changes: AccountChanges): Promise<void> {
    if (Object.values(changes).every((value) => value === undefined)) return
    if (!(await this.#database.updateAccount(session, changes))) throw sessionEnded()
  }

  /**
   * Finds the account by name and password.
   *
   * @throws Problem invalid_credentials, after the same time for an unknown name as for a wrong password;
   * account_disabled behind the right one
   */
  async identify(username: string, password: string, caller: Caller): Promise<Account> {
    const account = await this.#database.findAccount(username)
    const matches = await this.#passwords.matches(password, account?.passwordHash, caller)
    if (!account || !matches) throw invalidCredentials()
    if (account.disabledAtMs !== undefined) throw accountDisabled()
    return account
  }

  /** The problem when the password was right, but the account has changed since it was checked. */
  async refusalOf({ username, passwordHash }: Account): Promise<Problem> {
    const now = await this.#database.findAccount(username)
    return now?.passwordHash === passwordHash ? accountDisabled() : invalidCredentials()
  }

  /**
   * Replaces the password and ends all sessions but this one.
   *
   * @throws Problem wrong_password, session_ended
   */
  async changePassword(session: Session, current: string, next: string, caller: Caller): Promise<void> {
    const account = await this.#confirm(session, current, caller)
    const passwordHash = await this.#passwords.hash(next, caller)
    const ended = await this.#database.changePassword(account, passwordHash, session.id)
    if (!ended) throw await this.#refusal(session)
    this.#sessions.forget(account.username, ended)
  }

  /**
   * Deletes the account with its inbox, sessions and application tokens; its name is never given again.
   *
   * @throws Problem wrong_password, session_ended
   */
  async delete(session: Session, password: string, caller: Caller): Promise<void> {
    const account = await this.#confirm(session, password, caller)
    const ended = await this.#database.deleteAccount(account, this.#clock())
    if (!ended) throw await this.#refusal(session)
    this.#sessions.forget(account.username, ended)
    this.#applicationTokens.forget(ended)
  }

  async #confirm(session: Session, password: string, caller: Caller): Promise<Account> {
    const account = await this.#database.findAccount(session.username)
    const matches = await this.#passwords.matches(password, account?.passwordHash, caller)
    if (!account || !matches) throw await this.#refusal(session)
    return account
  }

  /**
   * The problem for a password that was refused. It may have been right when the request arrived: another
   * request may have changed it since, or deleted the account.
   */
  async #refusal(session: Session): Promise<Problem> {
    if (!(await this.#sessions.isAlive(session))) return sessionEnded()
    return new Problem('wrong_password', 'The password is wrong.')
  }
}
