import type { SessionEnd } from '../problems.ts'

/** A session in the memory of this process. Its requests share the object until it is evicted. */
export interface Session {
  readonly id: string
  readonly accountId: number
  readonly username: string
  readonly offeredSeq: number
  /** When it ends at the latest, however often its token is renewed. */
  readonly endsAtMs: number
  acknowledgedSeq: number
  /** How far messages were read from the store for it. */
  handedSeq: number
  ended: SessionEnd
  /** It is no longer in memory: the next request with its token reads the store. */
  evicted: boolean
}

/** A session, and when the token that stands for it ends. */
export interface Identity {
  session: Session
  tokenExpiresAtMs: number
}
