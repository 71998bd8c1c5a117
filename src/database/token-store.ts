import type { Owner } from './database.ts'

/** The verbs of a store for application tokens. */
export interface TokenStore {
  /** Adds an application token. If there is no room, expired ones are removed. */
  createToken(token: NewApplicationToken): Promise<TokenOutcome>
  /** The application tokens of an account, the oldest first, also those that have expired. */
  listTokens(accountId: number): Promise<ApplicationToken[]>
  /** The application token with that hash and its owner, unless it was revoked or its owner is disabled. */
  findToken(hash: Uint8Array): Promise<OwnedToken | undefined>
  /** Ends an application token of that account, at every node; false when there is none of that id. */
  revokeToken(accountId: number, id: string): Promise<boolean>
  /** Records when an application token was last used. */
  noteTokenUse(id: string, atMs: number): Promise<void>
}

/** An application token as its owner sees it: everything but the token itself. */
export interface ApplicationToken {
  id: string
  name: string
  createdAtMs: number
  /** Undefined when it never expires. */
  expiresAtMs: number | undefined
  lastUsedAtMs: number | undefined
}

export interface NewApplicationToken extends Omit<ApplicationToken, 'lastUsedAtMs'> {
  accountId: number
  /** SHA-256 of the token. */
  hash: Uint8Array
}

/** `account_gone`: it was deleted or disabled meanwhile. */
export type TokenOutcome = 'created' | 'too_many_tokens' | 'account_gone'

export interface OwnedToken extends Owner, Pick<ApplicationToken, 'id' | 'expiresAtMs' | 'lastUsedAtMs'> {}
