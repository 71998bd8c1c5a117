import type { ReceivedRow, SentRow } from './types.ts'

/** A row in the storage: what the views see, and more. */
export type StoredRow = StoredReceivedRow | StoredSentRow

export interface StoredReceivedRow extends ReceivedRow {
  readonly with: string
  /**
   * A unique key, so a repeated message is stored once. A message to oneself has a sent and a received row.
   */
  readonly mark: string
}

export interface StoredSentRow extends SentRow {
  readonly with: string
  /** Set when the server has returned the ID. */
  readonly mark?: string
  /** The idempotency key of all attempts. */
  readonly key: string
  /** When the key was created. The server forgets it after a day. */
  readonly keyAtMs: number
  /** Equals `with` while the row waits. Index of the outbox. */
  readonly queued?: string
}

/** A row before it is added and gets its place. */
export type NewRow = Omit<StoredReceivedRow, 'place'> | Omit<StoredSentRow, 'place'>

export const markOf = (kind: StoredRow['kind'], id: string) => `${kind} ${id}`

export interface ConversationRecord {
  readonly username: string
  readonly displayName: string
  /** Set when the display name is from the server. Before, it is the username. */
  readonly named?: true
  /** The number of received rows after `readPlace`. */
  readonly unread: number
  readonly readPlace: number
  readonly draft: string
  /** Its position in the list before it has a row. */
  readonly place: number
}

/** Facts about the account as a whole. */
export interface Facts {
  gap: { from: number; to: number; reason: string } | undefined
  blocks: string[]
}

/** Await nothing else within a transaction, or IndexedDB ends it. */
export interface Transaction {
  row(place: number): Promise<StoredRow | undefined>
  rowByMark(mark: string): Promise<StoredRow | undefined>
  /** The newest rows of a conversation with a place in the range, in order. */
  rows(username: string, range: { from?: number; before?: number; limit?: number }): Promise<StoredRow[]>
  /** The queued rows of one conversation or of all, in order within each. */
  queued(username?: string): Promise<StoredSentRow[]>
  newestPlace(): Promise<number>
  addRow(row: NewRow): Promise<void>
  putRow(row: StoredRow): Promise<void>
  deleteRow(place: number): Promise<void>
  conversation(username: string): Promise<ConversationRecord | undefined>
  conversations(): Promise<ConversationRecord[]>
  putConversation(record: ConversationRecord): Promise<void>
  /** Deletes its rows too. */
  deleteConversation(username: string): Promise<void>
  /** Stores a receipt for a message whose ID is not known yet. */
  addReceipt(username: string, id: string): Promise<void>
  hasReceipt(username: string, id: string): Promise<boolean>
  deleteReceipts(username: string): Promise<void>
  fact<F extends keyof Facts>(name: F): Promise<Facts[F] | undefined>
  putFact<F extends keyof Facts>(name: F, value: Facts[F]): Promise<void>
}

/** The tables of rows and conversations. */
export interface Tables {
  /** Runs a transaction. Resolves when it is written, all or nothing. */
  run<T>(mode: 'readonly' | 'readwrite', work: (transaction: Transaction) => Promise<T>): Promise<T>
  close(): void
}
