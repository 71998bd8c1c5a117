/** What one portion of a purge has done. */
export interface Purged {
  /** Where to go on; undefined at the end. */
  next: number | undefined
  /** Entries of inboxes that were removed. */
  messages: number
}

/** What one portion of a purge may remove. Instants are milliseconds since 1970. */
export interface PurgePortion {
  /** Where the last portion ended; 0 to begin. */
  fromAccountId: number
  /** Messages sent before this may go when every living session has acknowledged them. */
  acknowledgedBeforeMs: number
  /** Messages sent before this may go, acknowledged or not; -Infinity when they never may. */
  unacknowledgedBeforeMs: number
  /** But none sent before this, unless acknowledged: their date is not to be believed. */
  unacknowledgedFromMs: number
  /** Idempotency keys dated up to this may go, and those dated after that. */
  keysBeforeMs: number
  keysAfterMs: number
  /** Sessions that end before this may go. */
  sessionsBeforeMs: number
  /** Push subscriptions that were not used since then may go, when their session was not either. */
  subscriptionsBeforeMs: number
  /** By this a session that has not expired is alive. */
  nowMs: number
}
