import type { Owner } from './database.ts'

/** The changes that an owner may make; undefined members stay as they are. */
export interface AccountChanges {
  displayName: string | undefined
  hidesPresence: boolean | undefined
}

/** How full an inbox is for one session. */
export interface InboxCounters {
  newest: number
  acknowledged: number
  /** Stored messages behind the acknowledged entry; receipts do not count. */
  unread: number
}

/** A session as its owner sees it. */
export interface ListedSession {
  id: string
  label: string | undefined
  createdAtMs: number
  expiresAtMs: number
  /** When a poll of it was last under way, as far as the store knows. */
  lastSeenAtMs: number | undefined
  /** Whether it polls another node, or did a moment ago. */
  isElsewhere: boolean
}

export interface Block {
  username: string
  createdAtMs: number
}

export type BlockOutcome = 'blocked' | 'user_not_found' | 'too_many_blocks'

/** The verbs of a store for the owner of an account. */
export interface OwnAccountStore {
  /** Changes an account at every node; false when it was deleted. */
  updateAccount(owner: Owner, changes: AccountChanges): Promise<boolean>
  /**
   * @param atLeast the minimum that the session has acknowledged; the store may have more or less
   */
  countInbox(accountId: number, session: { sessionId: string; atLeast: number }): Promise<InboxCounters>
  /** The sessions of an account that have not expired, the newest first. */
  listSessions(accountId: number, nowMs: number): Promise<ListedSession[]>

  /** Whether an account has blocked another one. */
  isBlocked(accountId: number, blockedId: number): Promise<boolean>
  /** The accounts that an account has blocked, in the order of their names. */
  listBlocks(accountId: number): Promise<Block[]>
  /** Refuses messages of that name from now on, at every node; does nothing when they are refused already. */
  block(owner: Owner, username: string, createdAtMs: number): Promise<BlockOutcome>
  /** Accepts messages of that account again; false when there is none of that name. */
  unblock(owner: Owner, username: string): Promise<boolean>
}
