import type { ApplicationToken, ListedAccount, ListedSession } from '../database/database.ts'

/** An account as an operator sees it. */
export interface ShownAccount extends Omit<ListedAccount, 'sessions'> {
  /** False without a server. */
  online: boolean
  /** The newest first. */
  sessions: ListedSession[]
  /** The oldest first, also those that have expired. */
  tokens: ApplicationToken[]
  /** How many others it blocks. */
  blocks: number
  /** How many push subscriptions it has. */
  subscriptions: number
}
