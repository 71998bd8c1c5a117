import type { Poller, Queue } from './waiter.ts'

/** Parked polls per session: browser tabs, a phone that reconnects. Above it the oldest is answered. */
const POLLS_PER_SESSION_MAX = 8

/** The polls of an account, parked ones among them, and when its last ones ended. */
export interface Mailbox extends Queue {
  /**
   * Exact while the mailbox lives, once a poll has read the store or a message came; undefined until then.
   */
  newestSeq: number | undefined
  /** Polls between `enter` and `leave`. */
  polls: number
  /** Of these the accepted ones that make the account online, parked ones among them. */
  accepted: number
  /** When the last of these ended, by the id of the session; undefined until one has. */
  pollEnds: Map<string, PollEnd> | undefined
  /** When the last of all ended, as a date. */
  lastSeenAtMs: number | undefined
}

interface PollEnd {
  /** On the monotonic clock. */
  atMs: number
  /** As a date. */
  dateMs: number
}

export const newMailbox = (): Mailbox => ({
  newestSeq: undefined,
  waiters: [],
  polls: 0,
  accepted: 0,
  pollEnds: undefined,
  lastSeenAtMs: undefined,
})

/** The parked polls of a session. */
export const ofSession = ({ waiters }: Mailbox, id: string) =>
  waiters.filter(({ waiting }) => waiting.poller.id === id)

/** Whether a session has the maximum of parked polls. */
export const isCrowded = (mailbox: Mailbox, { id }: Poller) =>
  mailbox.waiters.length >= POLLS_PER_SESSION_MAX && ofSession(mailbox, id).length >= POLLS_PER_SESSION_MAX

/** Answers the oldest parked poll of a session that has the maximum. */
export function makeRoom(mailbox: Mailbox, poller: Poller) {
  if (isCrowded(mailbox, poller)) ofSession(mailbox, poller.id)[0]?.settle({ kind: 'displaced' })
}

/** When the last poll of a living session ended, on the monotonic clock. */
export function lastEndMs({ pollEnds }: Mailbox): number | undefined {
  let lastMs: number | undefined
  pollEnds?.forEach(({ atMs }) => {
    lastMs = Math.max(lastMs ?? atMs, atMs)
  })
  return lastMs
}

/**
 * The sessions with parked polls that make the account online; one with several polls appears several times.
 */
export const presentIds = ({ waiters }: Mailbox): string[] =>
  waiters.flatMap(({ waiting }) => (waiting.away ? [] : waiting.poller.id))
