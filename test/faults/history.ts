/**
 * What was done to the service and what it said, for the checks to judge. All times are of one clock that
 * never jumps, in ms from the start of the run.
 */
export interface History {
  /** In the order in which they ended. */
  exchanges: Exchange[]
  disturbances: Disturbance[]
  stored: StoredInbox[]
  /** What no chaos explains: a node that ended by itself, for example. */
  faults: { atMs: number; what: string }[]
}

/** A request of a client, and what came of it. */
export interface Exchange {
  account: string
  /** The session whose token was shown; of a login the one that it opened. */
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
  /** 0 when there was no answer: the connection broke, or nothing came in time. */
  status: number
  /** The problem, or why there was no answer. */
  code?: string
  /** Of the message that was sent. */
  id?: string
  page?: ReceivedPage
}

export interface ReceivedPage {
  messages: { seq: number; id: string }[]
  cursor: number
  gap: boolean
}

/** Something that was done on purpose. */
export interface Disturbance {
  what: string
  /** Whom it concerns; undefined for all nodes. */
  node: string | undefined
  /**
   * Whether the node was down meanwhile, or without its database. Not so when only hints are lost: that is no
   * excuse for anything.
   */
  cutsOff: boolean
  fromMs: number
  toMs: number
}

/** An inbox as it is in the database at the end. */
export interface StoredInbox {
  account: string
  newestSeq: number
  acknowledgedSeq: number
  messages: StoredEntry[]
  /** Its idempotency keys as a sender, with the message that each gave. */
  keys: { key: string; messageId: string }[]
}

export interface StoredEntry {
  seq: number
  id: string
  from: string
  body: string
  /** Of a receipt: the messages that it tells of. */
  receiptFor?: string[]
}

export type Polled = Exchange & { asked: { kind: 'poll' } }
export type Send = Exchange & { asked: { kind: 'send' } }

export const isPoll = (exchange: Exchange): exchange is Polled => exchange.asked.kind === 'poll'
export const isSend = (exchange: Exchange): exchange is Send => exchange.asked.kind === 'send'

/** Whether nobody can say if it was done. */
export const isUnknown = ({ told }: Exchange) => told.status === 0 || told.status >= 500
