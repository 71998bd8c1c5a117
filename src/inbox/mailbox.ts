import type { Poller, Queue } from './waiter.ts'

/**
 * Polls that wait for one session at once: browser tabs, a phone that reconnects. Above it the oldest is
 * answered.
 */
const POLLS_PER_SESSION_MAX = 8

/** The polls of an account, those that wait among them, and when the last ones ended. */
export interface Mailbox extends Queue {
  /**
   * Exact while the mailbox lives, once a poll has read the store or a message came; undefined until then.
   */
  newestSeq: number | undefined
  /** Polls between `enter` and `leave`. */
  polls: number
  /** Of these the accepted ones, parked ones among them. */
  accepted: number
  /**
   * When the last accepted poll of each session ended, by its id, on the monotonic clock; undefined until one
   * has.
   */
  pollEndsMs: Map<string, number> | undefined
  /** When the last poll of all ended, as a date. */
  lastSeenAtMs: number | undefined
}

/** The polls of a session that wait. */
export const ofSession = ({ waiters }: Mailbox, id: string) =>
  waiters.filter(({ waiting }) => waiting.poller.id === id)

/** Whether as many polls of a session wait as may. */
export const isCrowded = (mailbox: Mailbox, { id }: Poller) =>
  mailbox.waiters.length >= POLLS_PER_SESSION_MAX && ofSession(mailbox, id).length >= POLLS_PER_SESSION_MAX

/** Answers the oldest poll of a session that has as many as it may. */
export function makeRoom(mailbox: Mailbox, poller: Poller) {
  if (isCrowded(mailbox, poller)) ofSession(mailbox, poller.id)[0]?.settle({ kind: 'displaced' })
}

/** When a poll last ended, of the sessions that are alive, on the monotonic clock. */
export const lastEndMs = ({ pollEndsMs }: Mailbox): number | undefined =>
  pollEndsMs && pollEndsMs.size > 0 ? Math.max(...pollEndsMs.values()) : undefined
