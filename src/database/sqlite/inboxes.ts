/** Parts of statements about inboxes, in a query that has a row of `account`. */

/**
 * The newest number of an inbox: that of its last message, or the one that no new message may fall below. A
 * counter in the account's row would be a page more to write for nearly every message.
 */
export const NEWEST_SEQ =
  'max(newest_seq, coalesce((SELECT max(seq) FROM message WHERE recipient_id = account.id), 0))'

/** Bytes of text that came up to the last message; where there is none, every number is as good. */
export const TEXT_BYTES = `coalesce((
  SELECT bytes_before + octet_length(body) FROM message
   WHERE recipient_id = account.id ORDER BY seq DESC LIMIT 1), 0)`

/** Receipts that came up to the last entry; where there is none, every number is as good. */
export const RECEIPTS = `coalesce((
  SELECT receipts_before + (receipt_for IS NOT NULL) FROM message
   WHERE recipient_id = account.id ORDER BY seq DESC LIMIT 1), 0)`

/** How far an inbox was read: what lies behind is unread. */
export const READ_SEQ = 'max(acknowledged_seq, purged_seq)'

/** How far an inbox was read, plus the numbers behind that were skipped at a restore and hold no entry. */
export const READ_OR_SKIPPED = `${READ_SEQ} + coalesce((
  SELECT sum(to_seq - max(from_seq - 1, ${READ_SEQ})) FROM restored_range
   WHERE account_id = account.id AND to_seq > ${READ_SEQ}), 0)`
