import type { Clock } from '../clock.ts'
import type { SessionEnd } from '../problems.ts'
import type { Poller } from './waiter.ts'
import type { Waiters } from './waiters.ts'

interface OtherNodes {
  isOnline: (username: string) => Promise<boolean>
  countOnline: () => Promise<number>
}

/** Who is online: who polls here, and who polls other nodes of the same store. */
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
   * Whether somebody is online, and when that was last so.
   *
   * @param storedMs when it was last so, as far as the store knows
   */
  async of(username: string, storedMs = 0): Promise<{ online: boolean; lastSeenAtMs: number | undefined }> {
    const online = await this.isOnline(username)
    const hereMs = this.#waiters.lastSeenAtMs(username)
    const nowMs = this.#clock()
    // No later than now, whatever the clock said then.
    const lastSeenAtMs = Math.min(Math.max(storedMs, hereMs ?? (online ? nowMs : 0)), nowMs)
    return { online, lastSeenAtMs: lastSeenAtMs || undefined }
  }

  /** Accounts that are online at any node, and polls that wait at this one. */
  async countPresent(): Promise<{ online: number; parkedPolls: number }> {
    const here = this.#waiters.countPresent()
    return { ...here, online: (await this.#others?.countOnline()) ?? here.online }
  }

  /** Answers the polls of a session that was ended; nobody is online through it any more. */
  endSession(session: Pick<Poller, 'id' | 'username'>, ended: SessionEnd): void {
    this.#waiters.endSession(session, ended)
  }
}
