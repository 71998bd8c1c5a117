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
export function lastEndMs({ pollEnds }: Mailbox): number | undefined {
  let lastMs: number | undefined
  pollEnds?.forEach(({ atMs }) => {
    lastMs = Math.max(lastMs ?? atMs, atMs)
  })
  return lastMs
}

/** The sessions whose polls wait and make the account online; one with several polls comes several times. */
export const presentIds = ({ waiters }: Mailbox): string[] =>
  waiters.flatMap(({ waiting }) => (waiting.away ? [] : waiting.poller.id))
