import type { MessageList } from '../message-list.ts'
import type { AdministrationStore } from './administration-store.ts'
import type { Batch, CommitResult } from './batch.ts'
import type { OwnAccountStore } from './own-account-store.ts'
import type { PurgeBatch, Purged } from './purge-batch.ts'
import type { PushStore } from './push-store.ts'
import type { TokenStore } from './token-store.ts'

export type { Invite, ListedAccount, NewInvite } from './administration-store.ts'
export * from './batch.ts'
export type {
  AccountChanges,
  Block,
  BlockOutcome,
  InboxCounters,
  ListedSession,
} from './own-account-store.ts'
export type * from './push-store.ts'
export type { ApplicationToken, NewApplicationToken, OwnedToken, TokenOutcome } from './token-store.ts'

/**
 * The interface of a store: verbs and plain data, no SQL, no ORM, nothing that cannot be sent to a thread.
 * Instants are milliseconds since 1970 (`…Ms`). Every method rejects with {@link DatabaseUnavailable} when
 * the store cannot do it now but may later.
 */
export interface Database extends AdministrationStore, OwnAccountStore, PushStore, TokenStore {
  /**
   * Adds an account. With the hash of an invite it takes one of its uses, unless the name is taken, by a
   * deleted account too. An invalid invite reveals nothing about the name.
   */
  createAccount(account: NewAccount, inviteHash?: Uint8Array): Promise<RegistrationOutcome>
  /** The account of that name, unless it was deleted. */
  findAccount(username: string): Promise<Account | undefined>
  /**
   * Replaces the password and ends the account's sessions but one, if that is given. Resolves with the ids of
   * those that ended.
   */
  changePassword(
    account: VerifiedPassword,
    passwordHash: string,
    keptSessionId?: string,
  ): Promise<string[] | undefined>
  /**
   * Marks the account as deleted and ends its sessions and application tokens; its inbox is purged soon
   * after. Resolves with the ids that ended, of both.
   */
  deleteAccount(account: VerifiedPassword, deletedAtMs: number): Promise<string[] | undefined>

  /**
   * Adds a session and ends the account's oldest until `sessionsMax` are left. Remembers the address that it
   * was opened from, if any is given. Resolves with the ids that ended; undefined also when the account is
   * disabled.
   */
  openSession(
    account: VerifiedPassword,
    session: Session,
    sessionsMax: number,
    openedFrom?: KnownAddress,
  ): Promise<string[] | undefined>
  /** The last login with that name from one of these addresses, in ms; undefined without one. */
  lastLoginFrom(username: string, addresses: Uint8Array[]): Promise<number | undefined>
  /** The session of that id with its owner, unless it was ended. */
  findSession(sessionId: string): Promise<OwnedSession | undefined>
  /** Extends a session; false when it no longer exists. */
  extendSession(sessionId: string, expiresAtMs: number): Promise<boolean>
  endSession(sessionId: string): Promise<void>

  /**
   * Writes a batch as one transaction and syncs it to the disk. A sender and an idempotency key are in it
   * once.
   */
  commit(batch: Batch): Promise<CommitResult>
  /**
   * The messages from there on, as many as the size allows.
   *
   * @param hintedSessionId a session for which to look whether it was hinted
   */
  readInbox(accountId: number, from: ReadFrom, size: PageSize, hintedSessionId?: string): Promise<StoredPage>
  /** The newest number of an inbox. */
  newestSeq(accountId: number): Promise<number>
  /** A message and its state; undefined when the store does not have it (any more). */
  findMessage(messageId: string): Promise<MessageRecord | undefined>

  /** Purges one small batch. */
  purge(batch: PurgeBatch): Promise<Purged>
  /** Resolves when the store answers. */
  ping(): Promise<void>
  /** Finishes what is under way and releases everything. */
  close(): Promise<void>
}

/**
 * The store cannot serve now: locked, full, unreachable or overloaded. Nothing was changed, unless a
 * connection to PostgreSQL broke while it was at work: then the outcome is unknown.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
}

/** Another process holds this database. Two writers would each keep their own counters in memory. */
export class DatabaseInUse extends Error {
  override readonly name = 'DatabaseInUse'
}

/** The database cannot be opened: no file, not ours, damaged, or there is no room for it. */
export class DatabaseUnusable extends Error {
  override readonly name = 'DatabaseUnusable'
}

export interface NewAccount {
  username: string
  displayName: string
  passwordHash: string
  createdAtMs: number
}

export type RegistrationOutcome = 'created' | 'username_taken' | 'invalid_invite'

export interface Account extends NewAccount {
  id: number
  lastSeenAtMs: number | undefined
  /** Undefined unless the operator has disabled it. */
  disabledAtMs: number | undefined
  /** Whether others do not see when it is online. */
  hidesPresence: boolean
}

/**
 * An account and the hash that a password was checked against. That takes a while: if the hash has changed
 * since, or the account was deleted, the verb does nothing and resolves with undefined.
 */
export type VerifiedPassword = Pick<Account, 'id' | 'passwordHash'>

/** The owner of an inbox. */
export interface Owner {
  accountId: number
  username: string
}

export interface Session {
  id: string
  accountId: number
  /** The owner's name for it. */
  label?: string | undefined
  createdAtMs: number
  expiresAtMs: number
  /** How far this client has acknowledged the inbox. */
  acknowledgedSeq: number
  /** The cursor of the login response, acknowledged by the first request to the inbox made with its token. */
  offeredSeq: number
}

/** An address from which an account has logged in. */
export interface KnownAddress {
  /** A hash of it. */
  address: Uint8Array
  lastLoginAtMs: number
}

export interface OwnedSession extends Session {
  username: string
}

/**
 * The start of a read: behind this number; behind the `seq` that a session has acknowledged, or `atLeast` if
 * that is higher, because its acknowledgement is on its way to the store; or behind the account's
 * acknowledged `seq`.
 */
export type ReadFrom = number | { sessionId: string; atLeast: number } | 'acknowledged'

/**
 * The size of a page: it ends with the message that reaches one of these limits, and has at least one
 * message.
 */
export interface PageSize {
  messages: number
  /** Of the texts, in UTF-8. */
  bytes: number
}

export interface StoredPage {
  /** What was read behind. */
  after: number
  /** Up to a missing number: one that was purged, or skipped at a restore. */
  messages: MessageList
  newestSeq: number
  /** Where the first range behind `after` begins that was skipped at a restore; undefined without one. */
  restoredFrom: number | undefined
  /** Whether the session that was asked for was hinted, so that its mark must be cleared. */
  wasHinted?: boolean
}

export interface MessageRecord {
  id: string
  from: string
  to: string
  sentAtMs: number
  /** `expired` when it was removed before it was acknowledged. */
  state: 'stored' | 'delivered' | 'expired'
}

/** The configuration that a store needs. */
export interface StoreLimits {
  /**
   * How many unread messages an inbox holds. With as many unread receipts its owner may ask for no
   * more.
   */
  inboxLimit: number
  /**
   * How many bytes of unread text an inbox holds, in UTF-8; one without any takes a message of any size.
   */
  inboxBytes: number
  /** How many unread messages of one sender an inbox holds. */
  senderLimit: number
}
