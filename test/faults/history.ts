/**
 * The requests to the service and its answers, for the checks. All times are in ms from the start of the run,
 * on one monotonic clock.
 */
export interface History {
  /** In the order in which they ended. */
  exchanges: Exchange[]
  injectedFaults: InjectedFault[]
  stored: StoredInbox[]
  /** Failures that no injected fault explains, such as a node that ended by itself. */
  failures: { atMs: number; what: string }[]
}

/** A request of a client, and its outcome. */
export interface Exchange {
  account: string
  /** The session of the token; for a login, the new session. */
  session: string | undefined
  node: string
  request: ClientRequest
  outcome: Outcome
  beganMs: number
  endedMs: number
}

export type ClientRequest =
  | { kind: 'send'; to: string; body: string; key: string | undefined; receipt?: boolean }
  | { kind: 'poll'; after: number | undefined; waitMs: number }
  | { kind: 'acknowledge'; cursor: number }
  | { kind: 'login'; takeover: boolean }
  | { kind: 'logout' }

export interface Outcome {
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
export interface InjectedFault {
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

export type Polled = Exchange & { request: { kind: 'poll' } }
export type Send = Exchange & { request: { kind: 'send' } }

export const isPoll = (exchange: Exchange): exchange is Polled => exchange.request.kind === 'poll'
export const isSend = (exchange: Exchange): exchange is Send => exchange.request.kind === 'send'

/** Whether the outcome is unknown. */
export const isUnknown = ({ outcome }: Exchange) => outcome.status === 0 || outcome.status >= 500
