import type { Page } from './operations.ts'

/** All that a program needs to go on with its session later. It is plain JSON, and holds a secret. */
export interface StoredSession {
  username: string
  displayName: string
  token: string
  expiresAt: string
  /** When to renew the token, in milliseconds since 1970, at the server. */
  renewAtMs: number
  /** The last message that the program has finished. */
  cursor: number
  /**
   * What the login gave, as long as some of it is not finished: the next request to the inbox counts as a
   * receipt for all of it.
   */
  page?: Page
}

/** Where a session is kept while the program does not run. Both may be asynchronous. */
export interface Store {
  load: () => StoredSession | null | undefined | Promise<StoredSession | null | undefined>
  /** Called after each message, with nothing when the session is over. */
  save: (session: StoredSession | undefined) => unknown
}
