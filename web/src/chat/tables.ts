import type { ReceivedRow, SentRow } from './types.ts'

/** A row as it is kept: what the views see, and more. */
export type StoredRow = StoredReceivedRow | StoredSentRow

export interface StoredReceivedRow extends ReceivedRow {
  readonly with: string
  /** Unique among the rows: what comes twice is kept once. Two, if somebody writes to themselves. */
  readonly mark: string
}

export interface StoredSentRow extends SentRow {
  readonly with: string
  /** There once the server has told the id. */
  readonly mark?: string
  /** The idempotency key of all attempts. */
  readonly key: string
  /** When the key was made: the server forgets it after a day. */
  readonly keyAtMs: number
  /** The same as `with`, while the row waits: the index of the outbox. */
  readonly queued?: string
}

/** A row without its place, which it gets when it is added. */
export type NewRow = Omit<StoredReceivedRow, 'place'> | Omit<StoredSentRow, 'place'>

export const markOf = (kind: StoredRow['kind'], id: string) => `${kind} ${id}`

export interface ConversationRecord {
  readonly username: string
  readonly displayName: string
  /** The server has told the display name. Until then it is the username. */
  readonly named?: true
  /** Received rows behind `readPlace`. */
  readonly unread: number
  readonly readPlace: number
  readonly draft: string
  /** Where it stands in the list before it has a row. */
  readonly place: number
}

/** What is known about the account as a whole. */
export interface Facts {
  gap: { from: number; to: number; reason: string } | undefined
  blocks: string[]
}

/** Between its calls, a transaction awaits nothing else: IndexedDB would end it. */
export interface Transaction {
  row(place: number): Promise<StoredRow | undefined>
  rowByMark(mark: string): Promise<StoredRow | undefined>
  /** The newest rows of a conversation, in order, of those with a place between these two. */
  rows(username: string, range: { from?: number; before?: number; limit?: number }): Promise<StoredRow[]>
  /** The rows that wait for an answer, of one conversation or of all, in order within each. */
  queued(username?: string): Promise<StoredSentRow[]>
  newestPlace(): Promise<number>
  addRow(row: NewRow): Promise<void>
  putRow(row: StoredRow): Promise<void>
  deleteRow(place: number): Promise<void>
  conversation(username: string): Promise<ConversationRecord | undefined>
  conversations(): Promise<ConversationRecord[]>
  putConversation(record: ConversationRecord): Promise<void>
  /** With its rows. */
  deleteConversation(username: string): Promise<void>
  /** Receipts for messages whose ids are not known yet. */
  addReceipt(username: string, id: string): Promise<void>
  hasReceipt(username: string, id: string): Promise<boolean>
  deleteReceipts(username: string): Promise<void>
  fact<F extends keyof Facts>(name: F): Promise<Facts[F] | undefined>
  putFact<F extends keyof Facts>(name: F, value: Facts[F]): Promise<void>
}

/** Where rows and conversations are kept. */
export interface Tables {
  /** Resolves once it is written; all of it, or nothing. */
  run<T>(mode: 'readonly' | 'readwrite', work: (transaction: Transaction) => Promise<T>): Promise<T>
  close(): void
}
