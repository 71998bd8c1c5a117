/** Messages per receipt; more make several receipts. */
export const RECEIPT_MESSAGES_MAX = 500

/** Bytes per message of a receipt in a page: an id of 36 characters, two quotes and a comma. */
export const RECEIPT_ID_BYTES = 39

/** An entry of an inbox: a message, or a receipt. */
export interface Entry {
  seq: number
  id: string
  /** The sender's name; of a receipt the name of the account that has acknowledged. */
  from: string
  /** Empty in a receipt. */
  body: string
  sentAtMs: number
  /** Only in a receipt: the ids of the messages that were acknowledged, in order. */
  receiptFor?: string[] | undefined
}

export interface NewMessage {
  senderId: number
  /** The sender's name, for the recipient. */
  from: string
  to: string
  id: string
  body: string
  sentAtMs: number
  /**
   * Whether the recipient is online here; on other nodes the store knows. The sender gets it as `delivery`,
   * and again with the same idempotency key.
   */
  live: boolean
  /** Whether the sender gets a receipt when the message is acknowledged. */
  wantsReceipt: boolean
  /** The same key has expired when its date is not after `expiredBeforeMs`. */
  idempotency: { key: string; fingerprint: Uint8Array; expiredBeforeMs: number } | undefined
}

export type AppendOutcome =
  | { kind: 'appended'; seq: number; live: boolean }
  /** The same key with the same message was stored before, with this response. */
  | { kind: 'replayed'; id: string; sentAtMs: number; live: boolean }
  | { kind: 'idempotency_key_reused' }
  | { kind: 'recipient_not_found' }
  /** The recipient has blocked the sender. */
  | { kind: 'blocked' }
  | { kind: 'inbox_full' }
  /** The inbox holds its maximum of unread messages of this sender. */
  | { kind: 'too_many_unread' }
  /** The message asks for a receipt, and the sender's own inbox holds its maximum of unread receipts. */
  | { kind: 'too_many_receipts' }

/**
 * The outcome of an append in one commit. An undecided one was not written: the inbox had no room for another
 * message of the batch, so the next commit decides.
 */
export type CommitOutcome = AppendOutcome | { kind: 'undecided' }

/** The result of a commit. */
export interface CommitResult {
  /** One for each append, in order. */
  outcomes: CommitOutcome[]
  /** The receipts of its acknowledgements, in the order of their numbers in each inbox. */
  receipts: AddedReceipt[]
}

/** A receipt in the inbox of the account that sent the messages. */
export interface AddedReceipt {
  to: string
  entry: Entry
}

export interface Acknowledgement {
  sessionId: string
  accountId: number
  seq: number
  /** When the client acknowledged: the date of the receipts. */
  atMs: number
}

/**
 * Everything that one transaction writes, in this order: acknowledgements make room for messages. The
 * receipts are appended with the acknowledgement: exactly once, when the account's acknowledged `seq` passes
 * the message.
 */
export interface Batch {
  acknowledgements: Acknowledgement[]
  lastSeen: LastSeen[]
  appends: NewMessage[]
}

/** When an account was last online, or one of its sessions. */
export interface LastSeen {
  username: string
  sessionId?: string | undefined
  atMs: number
  /** The time now. A later date in the store is from a clock that was ahead, and is replaced. */
  nowMs: number
}
