import type { Page } from './operations.ts'

/** All that a program needs to resume its session. It is plain JSON, and contains a secret. */
export interface StoredSession {
  username: string
  displayName: string
  token: string
  expiresAt: string
  /** When to renew the token, by the server's clock, in ms since 1970. */
  renewAtMs: number
  /** The seq of the last message that the program has finished. */
  cursor: number
  /**
   * The page of the login, until all of it is finished: the next read acknowledges all of it.
   */
  page?: Page
}

/** Stores a session between runs of the program. Both functions may be asynchronous. */
export interface Store {
  load: () => StoredSession | null | undefined | Promise<StoredSession | null | undefined>
  /** Called after each message, and with undefined when the session has ended. */
  save: (session: StoredSession | undefined) => unknown
}
