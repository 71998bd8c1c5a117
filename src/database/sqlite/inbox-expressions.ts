/** SQL expressions about an inbox, for queries with a row of `account`. */

/**
 * The newest number of an inbox: of its last entry, or the floor in the account's row where that is higher. A
 * counter in that row would mean one more page to write for nearly every message.
 */
export const NEWEST_SEQ =
  'max(newest_seq, coalesce((SELECT max(seq) FROM message WHERE recipient_id = account.id), 0))'

/** Bytes of text received up to the last entry; without one any number will do. */
export const TEXT_BYTES = `coalesce((
  SELECT bytes_before + octet_length(body) FROM message
   WHERE recipient_id = account.id ORDER BY seq DESC LIMIT 1), 0)`

/** Receipts received up to the last entry; without one any number will do. */
export const RECEIPTS = `coalesce((
  SELECT receipts_before + (receipt_for IS NOT NULL) FROM message
   WHERE recipient_id = account.id ORDER BY seq DESC LIMIT 1), 0)`

/** How far an inbox was read: later entries are unread. */
export const READ_SEQ = 'max(acknowledged_seq, purged_seq)'

/** How far an inbox was read, plus the later numbers that a restore skipped and that have no entry. */
export const READ_OR_SKIPPED = `${READ_SEQ} + coalesce((
  SELECT sum(to_seq - max(from_seq - 1, ${READ_SEQ})) FROM restored_range
   WHERE account_id = account.id AND to_seq > ${READ_SEQ}), 0)`
