import type { Clock } from '../clock.ts'
import type { SessionEnd } from '../problems.ts'
import type { Poller } from './waiter.ts'
import type { Waiters } from './waiters.ts'

interface OtherNodes {
  isOnline: (username: string) => Promise<boolean>
  countOnline: () => Promise<number>
}

/**
 * Which accounts are online: those that poll this node, and those that poll other nodes of the same store.
 */
export class Presence {
  readonly #waiters: Waiters
  readonly #clock: Clock
  readonly #others: OtherNodes | undefined

  /** @param others what knows of other nodes; undefined when there are none */
  constructor(waiters: Waiters, clock: Clock, others?: OtherNodes) {
    this.#waiters = waiters
    this.#clock = clock
    this.#others = others
  }

  async isOnline(username: string): Promise<boolean> {
    return this.#waiters.isOnline(username) || ((await this.#others?.isOnline(username)) ?? false)
  }

  /**
   * Whether an account is online, and when it last was.
   *
   * @param storedMs when it was last so, as far as the store knows
   */
  async of(username: string, storedMs = 0): Promise<{ online: boolean; lastSeenAtMs: number | undefined }> {
    const online = await this.isOnline(username)
    const hereMs = this.#waiters.lastSeenAtMs(username)
    const nowMs = this.#clock()
    // Never in the future, even if the clock was ahead then.
    const lastSeenAtMs = Math.min(Math.max(storedMs, hereMs ?? (online ? nowMs : 0)), nowMs)
    return { online, lastSeenAtMs: lastSeenAtMs || undefined }
  }

  /** Accounts that are online at any node, and polls that wait at this one. */
  async countPresent(): Promise<{ online: number; parkedPolls: number }> {
    const here = this.#waiters.countPresent()
    return { ...here, online: (await this.#others?.countOnline()) ?? here.online }
  }

  /** Answers the polls of an ended session, which no longer makes its account online. */
  endSession(session: Pick<Poller, 'id' | 'username'>, ended: SessionEnd): void {
    this.#waiters.endSession(session, ended)
  }
}
