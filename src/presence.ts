import { EventEmitter } from 'node:events'
import { type Clock, monotonicMs } from './clock.ts'

/** How often sessions are looked for whose grace time is over. */
const SWEEP_MS = 1_000

/** A session, by its id, and the name of its account. */
export interface SessionRef {
  readonly id: string
  readonly username: string
}

export interface PresenceEvents {
  /** A session is online at this node, and was not before. */
  online: [sessionId: string]
  /** It no longer is: within a second after its grace time, or when it has ended. */
  offline: [sessionId: string]
  /** When an account, or one of its sessions if that is given, was last online: when it no longer is. */
  lastSeen: [username: string, atMs: number, sessionId: string | undefined]
}

/** The presence at the other nodes on the same store. */
interface PresenceElsewhere {
  isOnline: (username: string) => Promise<boolean>
  countOnline: () => Promise<number>
}

interface OnlineAccount {
  /** Replaced instead of modified, so that a loop over it may remove sessions. */
  sessions: readonly OnlineSession[]
  /** When its last poll ended, as a date; 0 before. */
  lastSeenAtMs: number
}

interface OnlineSession {
  readonly id: string
  /** Its polls under way. */
  polls: number
  /** When its last poll ended: on the monotonic clock, and as a date; 0 before. */
  lastEndMs: number
  lastSeenAtMs: number
  /** It has no grace time. */
  ended: boolean
}

/**
 * Which accounts and sessions are online: one of their polls is under way, or ended less than the grace time
 * ago. A poll that is refused or `away` does not count. Those of this node are in memory; the store knows
 * those of the other nodes.
 */
export class Presence extends EventEmitter<PresenceEvents> {
  readonly #graceMs: number
  readonly #clock: Clock
  readonly #others: PresenceElsewhere | undefined
  /** The accounts that are online at this node, by name. */
  readonly #accounts = new Map<string, OnlineAccount>()
  readonly #sweeper: NodeJS.Timeout

  /**
   * @param graceMs how long after its last poll a session still counts as online
   * @param others undefined when there is no other node
   */
  constructor(graceMs: number, clock: Clock, others?: PresenceElsewhere) {
    super()
    this.#graceMs = graceMs
    this.#clock = clock
    this.#others = others
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref()
  }

  /** A poll begins to count. {@link removePoll} must follow. */
  addPoll({ id, username }: SessionRef): void {
    const account = this.#accounts.get(username)
    const known = account && sessionOf(account, id)
    if (known) {
      known.polls += 1
      return
    }
    const session = { id, polls: 1, lastEndMs: 0, lastSeenAtMs: 0, ended: false }
    // Not spread: an array built step by step allocates room for 17.
    if (account) account.sessions = account.sessions.concat(session)
    else this.#accounts.set(username, { sessions: [session], lastSeenAtMs: 0 })
    this.emit('online', id)
  }

  /** A poll that counted has ended. */
  removePoll({ id, username }: SessionRef): void {
    const account = this.#accounts.get(username)
    const session = account && sessionOf(account, id)
    if (!session) return
    session.polls -= 1
    session.lastEndMs = monotonicMs()
    session.lastSeenAtMs = this.#clock()
    account.lastSeenAtMs = session.lastSeenAtMs
    if (session.ended && session.polls === 0) this.#remove(account, session)
  }

  /** A session has ended: it is not online any more once its polls are answered. */
  endSession({ id, username }: SessionRef): void {
    const account = this.#accounts.get(username)
    const session = account && sessionOf(account, id)
    if (!session) return
    session.ended = true
    if (session.polls === 0) this.#remove(account, session)
  }

  /** Whether an account is online at this node. */
  isOnlineHere(username: string): boolean {
    const account = this.#accounts.get(username)
    return account !== undefined && this.#isOnline(account)
  }

  /** Whether an account is online at any node. */
  async isOnline(username: string): Promise<boolean> {
    return this.isOnlineHere(username) || ((await this.#others?.isOnline(username)) ?? false)
  }

  /** Whether a session is online at this node. */
  isSessionOnlineHere({ id, username }: SessionRef): boolean {
    const account = this.#accounts.get(username)
    const session = account && sessionOf(account, id)
    return session !== undefined && this.#isSessionOnline(session)
  }

  /** When an account, or a session, was last online here; undefined when that was too long ago. */
  lastSeenAtMs(username: string, sessionId?: string): number | undefined {
    const account = this.#accounts.get(username)
    if (!account) return undefined
    if (sessionId === undefined) return this.#lastSeenOf(account)
    const session = sessionOf(account, sessionId)
    return session && this.#lastSeenOfSession(session)
  }

  /**
   * Whether an account is online at any node, and when it last was.
   *
   * @param storedMs when it last was, as far as the store knows
   */
  async of(username: string, storedMs = 0): Promise<{ online: boolean; lastSeenAtMs: number | undefined }> {
    const online = await this.isOnline(username)
    const hereMs = this.lastSeenAtMs(username)
    const nowMs = this.#clock()
    // Never in the future, even if the clock was ahead then.
    const lastSeenAtMs = Math.min(Math.max(storedMs, hereMs ?? (online ? nowMs : 0)), nowMs)
    return { online, lastSeenAtMs: lastSeenAtMs || undefined }
  }

  /** How many accounts are online at this node. */
  countOnlineHere(): number {
    let online = 0
    for (const account of this.#accounts.values()) if (this.#isOnline(account)) online += 1
    return online
  }

  /** How many accounts are online at any node. */
  async countOnline(): Promise<number> {
    return (await this.#others?.countOnline()) ?? this.countOnlineHere()
  }

  /** Reports the sessions and accounts whose grace time is over. Runs once per second by itself. */
  sweep(): void {
    // A loop over entries allocates an array for each, and so makes garbage on an idle server.
    this.#accounts.forEach((account, username) => {
      for (const session of account.sessions) {
        if (this.#isSessionOnline(session)) continue
        this.#remove(account, session)
        this.emit('lastSeen', username, session.lastSeenAtMs, session.id)
      }
      if (account.sessions.length > 0) return
      this.#accounts.delete(username)
      this.emit('lastSeen', username, account.lastSeenAtMs, undefined)
    })
  }

  /** Reports everything that is online here as last seen. */
  close(): void {
    clearInterval(this.#sweeper)
    for (const [username, account] of this.#accounts) {
      this.emit('lastSeen', username, this.#lastSeenOf(account), undefined)
      for (const session of account.sessions)
        this.emit('lastSeen', username, this.#lastSeenOfSession(session), session.id)
    }
  }

  #isOnline({ sessions }: OnlineAccount): boolean {
    for (const session of sessions) if (this.#isSessionOnline(session)) return true
    return false
  }

  #isSessionOnline({ polls, lastEndMs }: OnlineSession): boolean {
    return polls > 0 || monotonicMs() - lastEndMs < this.#graceMs
  }

  #lastSeenOf({ sessions, lastSeenAtMs }: OnlineAccount): number {
    return sessions.some(({ polls }) => polls > 0) ? this.#clock() : lastSeenAtMs
  }

  #lastSeenOfSession({ polls, lastSeenAtMs }: OnlineSession): number {
    return polls > 0 ? this.#clock() : lastSeenAtMs
  }

  #remove(account: OnlineAccount, session: OnlineSession) {
    account.sessions = account.sessions.filter((other) => other !== session)
    this.emit('offline', session.id)
  }
}

/** A loop, because it runs for each poll, and an account has few sessions. */
function sessionOf({ sessions }: OnlineAccount, id: string): OnlineSession | undefined {
  for (const session of sessions) if (session.id === id) return session
  return undefined
}
