import { monotonicMs } from '../clock.ts'
import type { Entry } from '../database/database.ts'
import { toMessageList } from '../message-list.ts'
import type { SessionRef } from '../presence.ts'
import { type SessionEnd, sessionEnded, tokenExpired } from '../problems.ts'
import type { ClientConnection, Response } from './connection.ts'
import { firstPageOf, type InboxPage } from './inbox-page.ts'

/** The part of a session that reading its inbox uses. */
export interface ReadingSession extends SessionRef {
  readonly accountId: number
  /**
   * Whether it has ended: by logout, takeover, a new password, or with its account. Set before its polls are
   * answered, which may be the last to hold this object.
   */
  ended: SessionEnd
  /** How far this client has acknowledged; moves forward only. */
  acknowledgedSeq: number
  /** The cursor of the login response, acknowledged by the first request to the inbox made with its token. */
  readonly offeredSeq: number
  /** How far messages were read from the store for it; to read them again counts against a budget. */
  handedSeq: number
}

export interface PollRequest {
  /** Everything up to here was processed; undefined to read on behind the last acknowledged message. */
  after: number | undefined
  limit: number
  /** It does not make the account online. */
  away: boolean
  /** How long to wait for a message when there is none, in ms. */
  waitMs: number
  /** When the token ends by the wall clock, and the wait with it. */
  tokenExpiresAtMs: number
  connection: ClientConnection
  /** It will carry the answer. */
  response: Response
}

/** How the wait of a parked poll ends. */
export type WaitEnd =
  /** These messages were committed, right after the cursor. */
  | { kind: 'messages'; messages: Entry[] }
  /** There is something new: read the store. */
  | { kind: 'read' }
  /** The time to wait is over. */
  | { kind: 'timeout' }
  /** A newer poll of the session replaced it. */
  | { kind: 'displaced' }
  /** The session was ended. */
  | { kind: 'ended'; ended: SessionEnd }
  /** The token that it was begun with has expired. */
  | { kind: 'expired' }
  /** The server is shutting down. */
  | { kind: 'closing' }
  /** The client went away. */
  | { kind: 'gone' }

export interface PollAnswer extends InboxPage {
  /** The server is shutting down: the client should come back a little later. */
  closing: boolean
}

/** Gets the answer of a poll, or why there is none. Called once; must not throw. */
export type OnAnswer = (answer: PollAnswer | Error) => void

export interface PollEvents {
  /** There may be something behind the cursor. */
  onRead: (poll: Poll) => void
  /** A newer poll of the session replaces it. */
  onDisplaced: (poll: Poll) => void
  /** It will be answered now. */
  onOver: (poll: Poll) => void
}

/**
 * A poll from its request to its answer. It is an object with a callback instead of a promise or an async
 * function, which held 1.5 kB more per parked poll, ten thousand times.
 */
export class Poll {
  readonly session: ReadingSession
  readonly after: number | undefined
  readonly limit: number
  readonly away: boolean
  /** When its wait is over, on the monotonic clock. */
  readonly untilMs: number
  readonly tokenExpiresAtMs: number
  readonly connection: ClientConnection
  readonly response: Response
  /** It waits for entries after this. */
  cursor: number
  /**
   * Whether it has acknowledged, and makes its account online unless it is away. One that is refused does
   * neither.
   */
  accepted = false
  readonly #events: PollEvents
  readonly #onAnswer: OnAnswer

  constructor(
    session: ReadingSession,
    { after, limit, away, waitMs, tokenExpiresAtMs, connection, response }: PollRequest,
    events: PollEvents,
    onAnswer: OnAnswer,
  ) {
    this.session = session
    this.after = after
    this.limit = limit
    this.away = away
    this.untilMs = monotonicMs() + waitMs
    this.tokenExpiresAtMs = tokenExpiresAtMs
    this.connection = connection
    this.response = response
    this.cursor = after ?? Math.max(session.acknowledgedSeq, session.offeredSeq)
    this.#events = events
    this.#onAnswer = onAnswer
  }

  /** Whether it would wait when there is nothing behind its cursor. */
  get waits(): boolean {
    return this.untilMs > monotonicMs()
  }

  /** Answers it, or has it read the store again. Called once per parking. */
  wake(end: WaitEnd): void {
    // No page is made for a response that must wait: it is read from the store when it can be written.
    if (end.kind === 'messages' && this.response.socket)
      this.answer(firstPageOf(end.messages, this.cursor, this.limit))
    else if (end.kind === 'messages' || end.kind === 'read') this.#events.onRead(this)
    else if (end.kind === 'ended') {
      this.session.ended = end.ended
      this.finish(sessionEnded(end.ended))
    } else if (end.kind === 'expired') this.finish(tokenExpired())
    else {
      if (end.kind === 'displaced') this.#events.onDisplaced(this)
      this.answerNothing(end.kind === 'closing')
    }
  }

  answer({ messages, cursor, hasMore, gap }: InboxPage, closing = false): void {
    // Not spread: V8 makes such a copy key by key, which shows with each message (bench/README.md).
    this.finish({ messages, cursor, hasMore, gap, closing })
  }

  answerNothing(closing = false): void {
    this.answer({ messages: toMessageList([]), cursor: this.cursor, hasMore: false, gap: undefined }, closing)
  }

  finish(answer: PollAnswer | Error): void {
    this.#events.onOver(this)
    this.#onAnswer(answer)
  }
}
