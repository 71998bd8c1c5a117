import type { Clock } from '../clock.ts'
import type { Account, Database, ListedAccount } from '../database/database.ts'
import { Problem, type SessionEnd, userNotFound } from '../problems.ts'
import type { Registration } from './accounts.ts'
import type { ApplicationTokens } from './application-tokens.ts'
import type { Caller } from './password-queue.ts'
import type { Passwords } from './passwords.ts'
import type { Sessions } from './sessions.ts'
import type { ShownAccount } from './shown-account.ts'
import { toUsername } from './username.ts'

export type { ShownAccount } from './shown-account.ts'

type AdministrationDatabase = Pick<
  Database,
  | 'findAccount'
  | 'createAccount'
  | 'changePassword'
  | 'deleteAccount'
  | 'listAccounts'
  | 'findListedAccount'
  | 'disableAccount'
  | 'enableAccount'
  | 'listSessions'
  | 'listTokens'
  | 'listBlocks'
  | 'listInvites'
  | 'listPushSubscriptions'
>

/** The server in this process: it knows newer dates than the store, and caches sessions and tokens. */
export interface LiveServer {
  sessions: Pick<Sessions, 'forget'>
  applicationTokens: Pick<ApplicationTokens, 'forget'>
  inbox: {
    /** When an account was last online, if this process knows; 0 otherwise. */
    lastSeenAtMs: (username: string) => number
  }
  /** At any node. */
  presence: {
    isOnline: (username: string) => Promise<boolean>
    countOnline: () => Promise<number>
  }
  /** At this node. */
  mailboxes: { readonly parkedPolls: number }
}

export interface Stats {
  accounts: number
  /** How many of them are disabled. */
  disabled: number
  sessions: number
  /** Entries of all inboxes that are stored, receipts too. */
  stored: number
  /** Messages that were not acknowledged. */
  unread: number
  /** Invites with which an account can be made, and how many accounts that are. */
  invites: number
  invitedAccounts: number
  /** Accounts that are online, and polls that wait at this node; undefined without a server. */
  online: number | undefined
  parkedPolls: number | undefined
}

/** Accounts per call of the store: takes some milliseconds, so that other reads are not delayed. */
const PAGE = 200

/** Operators do not hang up, and count as trusted. */
const OPERATOR: Caller = {
  client: { destroyed: false, on: () => {}, off: () => {} },
  address: { key: 'operator', network: undefined },
  trusted: true,
}

/** What the operator of a server sees and does, with a running server or with its database alone. */
export class Administration {
  readonly #database: AdministrationDatabase
  readonly #passwords: Pick<Passwords, 'hash'>
  readonly #checkRegistration: (input: unknown) => void
  readonly #clock: Clock
  readonly #live: LiveServer | undefined

  /**
   * @param checkRegistration holds names and passwords against the contract; throws Problem invalid_request
   * @param live undefined when no server runs in this process
   */
  constructor(
    database: AdministrationDatabase,
    passwords: Pick<Passwords, 'hash'>,
    checkRegistration: (input: unknown) => void,
    clock: Clock,
    live?: LiveServer,
  ) {
    this.#database = database
    this.#passwords = passwords
    this.#checkRegistration = checkRegistration
    this.#clock = clock
    this.#live = live
  }

  /** All accounts but deleted ones, in the order in which they were made. */
  async *list(): AsyncGenerator<ListedAccount> {
    let afterId = 0
    for (;;) {
      const page = await this.#database.listAccounts(afterId, PAGE, this.#clock())
      for (const account of page) yield this.#upToDate(account)
      const last = page.at(-1)
      if (!last || page.length < PAGE) return
      afterId = last.id
    }
  }

  /** @throws Problem user_not_found */
  async show(typed: string): Promise<ShownAccount> {
    const username = toUsername(typed)
    const nowMs = this.#clock()
    const account = await this.#database.findListedAccount(username, nowMs)
    if (!account) throw userNotFound(username)
    const [online = false, sessions, tokens, blocks, subscriptions] = await Promise.all([
      this.#live?.presence.isOnline(username),
      this.#database.listSessions(account.id, nowMs),
      this.#database.listTokens(account.id),
      this.#database.listBlocks(account.id),
      this.#database.listPushSubscriptions(account.id),
    ])
    const counts = { blocks: blocks.length, subscriptions: subscriptions.length }
    return { ...this.#upToDate(account), online, sessions, tokens, ...counts }
  }

  /**
   * Makes an account, whatever REGISTRATION says.
   *
   * @param displayName the username in lower case when it is left out
   * @returns when it was made, in ms since 1970
   * @throws Problem invalid_request, username_taken
   */
  async add(typed: Omit<Registration, 'displayName'> & { displayName?: string }): Promise<number> {
    this.#checkRegistration(typed)
    const username = toUsername(typed.username)
    const passwordHash = await this.#passwords.hash(typed.password, OPERATOR)
    const createdAtMs = this.#clock()
    const account = { username, displayName: typed.displayName ?? username, passwordHash, createdAtMs }
    const outcome = await this.#database.createAccount(account)
    if (outcome !== 'created') throw new Problem('username_taken', `The username ${username} is taken.`)
    return createdAtMs
  }

  /**
   * Replaces the password and ends all sessions. Application tokens stay, as when the owner changes it.
   *
   * @throws Problem invalid_request, user_not_found
   */
  async setPassword(typed: string, password: string): Promise<void> {
    this.#checkRegistration({ username: typed, password })
    const { username } = await this.#find(typed)
    const passwordHash = await this.#passwords.hash(password, OPERATOR)
    await this.#end(username, (account) => this.#database.changePassword(account, passwordHash))
  }

  /**
   * Ends all sessions, and refuses logins and application tokens until the account is enabled again. Others
   * can send to it meanwhile. Does nothing when it is disabled already.
   *
   * @throws Problem user_not_found
   */
  async disable(typed: string): Promise<void> {
    const disable = ({ id, disabledAtMs = this.#clock() }: Account) =>
      this.#database.disableAccount(id, disabledAtMs)
    await this.#end(typed, disable, 'disabled')
  }

  /**
   * Does nothing when it is enabled already.
   *
   * @throws Problem user_not_found
   */
  async enable(typed: string): Promise<void> {
    const { id, username } = await this.#find(typed)
    if (!(await this.#database.enableAccount(id))) throw userNotFound(username)
  }

  /**
   * Deletes an account with its inbox, sessions and application tokens; its name is never given again.
   *
   * @throws Problem user_not_found
   */
  async delete(typed: string): Promise<void> {
    await this.#end(typed, (account) => this.#database.deleteAccount(account, this.#clock()))
  }

  /** Reads every account, but no message. */
  async stats(): Promise<Stats> {
    const stats = { accounts: 0, disabled: 0, sessions: 0, stored: 0, unread: 0 }
    for await (const { disabledAtMs, sessions, stored, inbox } of this.list()) {
      stats.accounts += 1
      if (disabledAtMs !== undefined) stats.disabled += 1
      stats.sessions += sessions
      stats.stored += stored
      stats.unread += inbox.unread
    }
    const nowMs = this.#clock()
    const left = (await this.#database.listInvites()).flatMap(
      ({ uses, used, expiresAtMs = Number.POSITIVE_INFINITY }) =>
        used < uses && expiresAtMs > nowMs ? [uses - used] : [],
    )
    const invitedAccounts = left.reduce((sum, uses) => sum + uses, 0)
    const online = await this.#live?.presence.countOnline()
    const parkedPolls = this.#live?.mailboxes.parkedPolls
    return { ...stats, invites: left.length, invitedAccounts, online, parkedPolls }
  }

  #upToDate<A extends ListedAccount>(account: A): A {
    const knownMs = Math.max(account.lastSeenAtMs ?? 0, this.#live?.inbox.lastSeenAtMs(account.username) ?? 0)
    return { ...account, lastSeenAtMs: knownMs || undefined }
  }

  async #find(typed: string): Promise<Account> {
    const username = toUsername(typed)
    const account = await this.#database.findAccount(username)
    if (!account) throw userNotFound(username)
    return account
  }

  /**
   * Has the store end sessions and tokens of an account.
   *
   * @param end resolves with their ids, or undefined when the account has changed since it was found
   */
  async #end(
    typed: string,
    end: (account: Account) => Promise<string[] | undefined>,
    how: SessionEnd = true,
  ): Promise<void> {
    for (;;) {
      const account = await this.#find(typed)
      const ended = await end(account)
      if (!ended) continue
      this.#live?.sessions.forget(account.username, ended, how)
      this.#live?.applicationTokens.forget(ended)
      return
    }
  }
}
