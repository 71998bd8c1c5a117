import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Account, Database, KnownAddress, OwnedSession } from '../database/database.ts'
import { invalidToken, Problem, type SessionEnd, sessionEnded, tokenExpired } from '../problems.ts'
import type { Identity, Session } from './session.ts'
import type { Claims, IssuedToken, Tokens } from './tokens.ts'

export type { Identity, Session } from './session.ts'

/** With SESSION_POLICY=multi: a phone, a tablet, a few computers. */
const SESSIONS_MAX = { single: 1, multi: 10 }

/**
 * Tokens and sessions kept in memory, so that a request costs no signature check and no read. Above it the
 * least recently used is evicted. With `max` lru-cache fills such arrays at once, for 20 ms.
 */
const REMEMBERED = { maxSize: 100_000, sizeCalculation: () => 1 }

/** Whether the cache is valid: other nodes may end sessions. */
export interface CacheLease {
  readonly holds: boolean
}

/** The part of presence that sessions use. */
export interface SessionPresence {
  /** Here, or at another node. */
  isOnline: (username: string) => Promise<boolean>
  endSession: (session: Pick<Session, 'id' | 'username'>) => void
}

/** The parked polls of sessions. */
export interface SessionPolls {
  /** Answers the polls of an ended session. */
  endSession: (session: Pick<Session, 'id' | 'username'>, ended: SessionEnd) => void
}

export interface SessionRules {
  sessionPolicy: keyof typeof SESSIONS_MAX
}

type SessionDatabase = Pick<Database, 'openSession' | 'findSession' | 'extendSession' | 'endSession'>

/** Sessions: a login opens one, its token names it, and a logout ends it. */
export class Sessions {
  readonly #database: SessionDatabase
  readonly #tokens: Tokens
  readonly #presence: SessionPresence
  readonly #polls: SessionPolls
  readonly #rules: SessionRules
  readonly #clock: Clock
  readonly #lease: CacheLease | undefined
  /** By verified token. Valid only while the session is: one that has ended stays ended. */
  readonly #identities = new LRUCache<string, Identity>(REMEMBERED)
  /** By id; a promise while it is read from the store, so that there is never a second object of it. */
  readonly #sessions = new LRUCache<string, Session | Promise<Session | undefined>>({
    ...REMEMBERED,
    dispose: (session, _id, reason) => {
      if (reason === 'evict' && !(session instanceof Promise)) session.evicted = true
    },
  })
  /** The promises whose session has ended meanwhile, whatever they read. */
  readonly #endedWhileRead = new WeakSet<Promise<unknown>>()

  /** @param lease undefined when this process alone ends sessions */
  constructor(
    database: SessionDatabase,
    tokens: Tokens,
    presence: SessionPresence,
    polls: SessionPolls,
    rules: SessionRules,
    clock: Clock,
    lease?: CacheLease,
  ) {
    this.#database = database
    this.#tokens = tokens
    this.#presence = presence
    this.#polls = polls
    this.#rules = rules
    this.#clock = clock
    this.#lease = lease
  }

  /**
   * Opens a session and ends those that it replaces.
   *
   * @param account the account, its password checked
   * @param opened how far the account has acknowledged, the cursor of the messages that the login hands over,
   * and what its owner calls it
   * @param openedFrom the address to remember, if any
   * @returns undefined when the account has changed since then
   */
  async open(
    account: Account,
    opened: { acknowledgedSeq: number; offeredSeq: number; label: string | undefined },
    openedFrom?: KnownAddress,
  ): Promise<IssuedToken | undefined> {
    const id = randomBytes(16).toString('base64url')
    const createdAtMs = this.#clock()
    const issued = this.#tokens.issue(account.username, id, this.#tokens.endOf(createdAtMs))
    const session = { id, accountId: account.id, createdAtMs, expiresAtMs: issued.expiresAtMs, ...opened }
    const sessionsMax = SESSIONS_MAX[this.#rules.sessionPolicy]
    const ended = await this.#database.openSession(account, session, sessionsMax, openedFrom)
    if (ended) this.forget(account.username, ended)
    return ended && issued
  }

  /**
   * Refuses a login to an account that is in use, where only one session is allowed.
   *
   * @throws Problem already_online
   */
  async refuseSecond(username: string): Promise<void> {
    if (this.#rules.sessionPolicy === 'multi' || !(await this.#presence.isOnline(username))) return
    throw new Problem(
      'already_online',
      'This account is in use. Log in with "takeover": true to end its session.',
    )
  }

  /**
   * The session of a token.
   *
   * @throws Problem invalid_token, session_ended
   */
  identify(token: string): Identity | Promise<Identity> {
    const known = this.#identities.get(token)
    const cacheValid = this.#lease?.holds ?? true
    if (cacheValid && known && !known.session.evicted) {
      // Marks its session as used, too.
      this.#sessions.get(known.session.id)
      return this.#requireValid(known)
    }
    const claims = this.#tokens.verify(token)
    if (!claims) throw invalidToken('The token is unknown to this server, or has expired. Log in again.')
    const session = cacheValid ? (this.#sessions.get(claims.sid) ?? this.#load(claims)) : this.#lookUp(claims)
    const toIdentity = (loaded: Session | undefined) => {
      if (!loaded || loaded.ended) throw sessionEnded(loaded?.ended)
      if (loaded.username !== claims.sub) throw invalidToken('The token is unknown to this server.')
      const tokenExpiresAtMs = Math.min(claims.exp * 1_000, loaded.endsAtMs)
      const identity = { session: loaded, tokenExpiresAtMs }
      this.#identities.set(token, identity)
      return this.#requireValid(identity)
    }
    return session instanceof Promise ? session.then(toIdentity) : toIdentity(session)
  }

  /** A token of the same session that lasts longer, but not beyond the session's end. */
  async renew(session: Session): Promise<IssuedToken> {
    const issued = this.#tokens.issue(session.username, session.id, session.endsAtMs)
    // A token ends with a whole second, up to one before its session.
    if (issued.expiresAtMs <= this.#clock()) throw tokenExpired()
    const extended = await this.#database.extendSession(session.id, issued.expiresAtMs)
    if (!extended) throw sessionEnded()
    return issued
  }

  /** Whether a session has not ended meanwhile, perhaps on another node. */
  async isAlive({ id }: Session): Promise<boolean> {
    return (await this.#database.findSession(id)) !== undefined
  }

  /** How far a session has acknowledged, if this process knows; 0 otherwise. */
  acknowledgedSeq(id: string): number {
    const known = this.#sessions.peek(id)
    return known === undefined || known instanceof Promise ? 0 : known.acknowledgedSeq
  }

  /** Ends a session: its tokens are refused from now on, and its polls are answered. */
  async end(session: Pick<Session, 'id' | 'username'>): Promise<void> {
    await this.#database.endSession(session.id)
    this.forget(session.username, [session.id])
  }

  /** Forgets sessions of an account that have been ended in the store. */
  forget(username: string, ids: string[], ended: SessionEnd = true): void {
    for (const id of ids) {
      const known = this.#sessions.get(id)
      this.#sessions.delete(id)
      // One that is being read may have been read before it ended.
      if (known instanceof Promise) this.#endedWhileRead.add(known)
      else if (known !== undefined) known.ended = ended
      // Its polls may be parked although its object was evicted.
      this.#polls.endSession({ id, username }, ended)
      this.#presence.endSession({ id, username })
    }
  }

  /** Clears the cache: the end of a session may have been missed. */
  forgetAll(): void {
    this.#identities.clear()
    this.#sessions.clear()
  }

  #requireValid(identity: Identity): Identity {
    if (identity.session.ended) throw sessionEnded(identity.session.ended)
    if (identity.tokenExpiresAtMs <= this.#clock()) throw tokenExpired()
    return identity
  }

  /** Reads the store for this request alone: the session may end unnoticed before the next one. */
  async #lookUp({ sid }: Claims): Promise<Session | undefined> {
    const found = await this.#database.findSession(sid)
    if (!found) return undefined
    const known = await this.#sessions.get(sid)
    return known ?? { ...this.#toSession(found), evicted: true }
  }

  #load({ sid }: Claims): Promise<Session | undefined> {
    const loading = this.#database.findSession(sid).then(
      (found) => {
        if (this.#endedWhileRead.has(loading)) return undefined
        const session = found && this.#toSession(found)
        if (this.#sessions.peek(sid) === loading) {
          if (session) this.#sessions.set(sid, session)
          else this.#sessions.delete(sid)
          // Evicted while it was read.
        } else if (session) session.evicted = true
        return session
      },
      (error: unknown) => {
        if (this.#sessions.peek(sid) === loading) this.#sessions.delete(sid)
        throw error
      },
    )
    this.#sessions.set(sid, loading)
    return loading
  }

  #toSession(found: OwnedSession): Session {
    const { id, accountId, username, offeredSeq, acknowledgedSeq } = found
    return {
      id,
      accountId,
      username,
      offeredSeq,
      endsAtMs: this.#tokens.endOf(found.createdAtMs),
      acknowledgedSeq,
      handedSeq: 0,
      ended: false,
      evicted: false,
    }
  }
}
