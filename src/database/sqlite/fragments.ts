/**
 * The newest number of an account's inbox: that of its last message, or that up to which it was purged. A
 * counter in the account's row would be a page more to write for nearly every message.
 */
export const NEWEST_SEQ = `max(purged_seq, coalesce(
  (SELECT max(seq) FROM message WHERE recipient_id = account.id), 0))`
