/**
 * What was done to the service and how it answered, for the checks. All times are of one monotonic clock, in
 * ms from the start of the run.
 */
export interface History {
  /** In the order in which they ended. */
  exchanges: Exchange[]
  disturbances: Disturbance[]
  stored: StoredInbox[]
  /** Failures that no injected fault explains, such as a node that ended by itself. */
  faults: { atMs: number; what: string }[]
}

/** A request of a client, and its outcome. */
export interface Exchange {
  account: string
  /** The session of the token; for a login, the new session. */
  session: string | undefined
  node: string
  asked: Asked
  told: Told
  beganMs: number
  endedMs: number
}

export type Asked =
  | { kind: 'send'; to: string; body: string; key: string | undefined; receipt?: boolean }
  | { kind: 'poll'; after: number | undefined; waitMs: number }
  | { kind: 'acknowledge'; cursor: number }
  | { kind: 'login'; takeover: boolean }
  | { kind: 'logout' }

export interface Told {
  /** 0 without an answer: the connection broke, or the answer was too late. */
  status: number
  /** The problem, or why there was no answer. */
  code?: string
  /** The fields of a sent message. */
  id?: string
  page?: ReceivedPage
}

export interface ReceivedPage {
  messages: { seq: number; id: string }[]
  cursor: number
  gap: boolean
}

/** An injected fault. */
export interface Disturbance {
  what: string
  /** The affected node; undefined for all nodes. */
  node: string | undefined
  /**
   * Whether the node was down, or without its database. False if only hints are lost, which excuses nothing.
   */
  cutsOff: boolean
  fromMs: number
  toMs: number
}

/** An inbox in the database at the end. */
export interface StoredInbox {
  account: string
  newestSeq: number
  acknowledgedSeq: number
  messages: StoredEntry[]
  /** Its idempotency keys as a sender, each with its message. */
  keys: { key: string; messageId: string }[]
}

export interface StoredEntry {
  seq: number
  id: string
  from: string
  body: string
  /** In a receipt: the acknowledged messages. */
  receiptFor?: string[]
}

export type Polled = Exchange & { asked: { kind: 'poll' } }
export type Send = Exchange & { asked: { kind: 'send' } }

export const isPoll = (exchange: Exchange): exchange is Polled => exchange.asked.kind === 'poll'
export const isSend = (exchange: Exchange): exchange is Send => exchange.asked.kind === 'send'

/** Whether the outcome is unknown. */
export const isUnknown = ({ told }: Exchange) => told.status === 0 || told.status >= 500
