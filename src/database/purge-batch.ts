/** The result of one batch of a purge. */
export interface Purged {
  /** Where the next batch begins; undefined after the last. */
  next: number | undefined
  /** Entries of inboxes that were removed. */
  messages: number
}

/** The rows that one batch of a purge may remove. Instants are milliseconds since 1970. */
export interface PurgeBatch {
  /** Where the last batch ended; 0 for the first. */
  fromAccountId: number
  /** Messages sent before this may go when every living session has acknowledged them. */
  acknowledgedBeforeMs: number
  /** Messages sent before this may go, acknowledged or not; -Infinity when they never may. */
  unacknowledgedBeforeMs: number
  /** Messages sent before this stay unless acknowledged: their date cannot be right. */
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
