import type { SessionEnd } from '../problems.ts'

/**
 * A session that is alive in this process. There is one object a session, so what it says holds for all its
 * requests.
 */
export interface Session {
  readonly id: string
  readonly accountId: number
  readonly username: string
  readonly offeredSeq: number
  /** No token of it is good for longer, however often it is renewed. */
  readonly endsAtMs: number
  acknowledgedSeq: number
  /** How far messages were read from the store for it. */
  handedSeq: number
  ended: SessionEnd
  /** It had to make room in memory: who shows its token is looked up again. */
  forgotten: boolean
}

/** A session, and when the token that stands for it ends. */
export interface Identity {
  session: Session
  tokenExpiresAtMs: number
}
