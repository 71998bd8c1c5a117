import type { InboxCounters } from './own-account-store.ts'

/** The verbs of a store for the operator's commands, and the look-up of invites. */
export interface AdministrationStore {
  /** Accounts after that id, in the order of creation, without deleted ones. */
  listAccounts(afterId: number, limit: number, nowMs: number): Promise<ListedAccount[]>
  /** The account of that name as it is listed, unless it was deleted. */
  findListedAccount(username: string, nowMs: number): Promise<ListedAccount | undefined>
  /**
   * Disables an account on every node: ends its sessions, and refuses its application tokens until it is
   * enabled again. Resolves with the ids of both; undefined when it was deleted. It may be disabled already.
   */
  disableAccount(accountId: number, disabledAtMs: number): Promise<string[] | undefined>
  /** False when it was deleted. It may be enabled already. */
  enableAccount(accountId: number): Promise<boolean>

  /** Resolves with its id. */
  createInvite(invite: NewInvite): Promise<number>
  /** Whether an account may be made with the invite of that hash. */
  isInviteValid(hash: Uint8Array, nowMs: number): Promise<boolean>
  /** In the order in which they were made, also those that are used up or have expired. */
  listInvites(): Promise<Invite[]>
  /** False when there is none of that id. */
  revokeInvite(id: number): Promise<boolean>
}

/** An account as its operator sees it. */
export interface ListedAccount {
  id: number
  username: string
  displayName: string
  createdAtMs: number
  /** When a poll of it was last under way, or it logged in or out, as far as the store knows. */
  lastSeenAtMs: number | undefined
  lastLoginAtMs: number | undefined
  /** Undefined unless it is disabled. */
  disabledAtMs: number | undefined
  /** Its sessions that have not expired. */
  sessions: number
  /** For the client that has acknowledged most. */
  inbox: InboxCounters
  /** Entries of its inbox that are stored, acknowledged or not; receipts count. */
  stored: number
}

export interface NewInvite {
  /** SHA-256 of the code. */
  hash: Uint8Array
  note: string | undefined
  /** How many accounts may be made with it. */
  uses: number
  createdAtMs: number
  /** Undefined when it never expires. */
  expiresAtMs: number | undefined
}

export interface Invite extends Omit<NewInvite, 'hash'> {
  id: number
  /** How many accounts were made with it. */
  used: number
}
