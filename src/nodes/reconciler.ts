import { setTimeout as pause } from 'node:timers/promises'
import type { SharedDatabase } from '../database/shared-database.ts'
import type { Mailboxes } from '../inbox/mailboxes.ts'
import type { SessionRef } from '../presence.ts'

/** How long a parked poll may miss a message whose notification was lost: with the lease, and without. */
const EVERY_MS = 15_000
const EVERY_MS_WITHOUT_LEASE = 700

/** Polls per statement, about. */
const POLLS_MAX = 500

/**
 * Checks parked polls against the store at intervals: a notification may be lost, and the store is the truth.
 * Polls are checked in batches that are spread over the interval.
 */
export class Reconciler {
  readonly #database: Pick<SharedDatabase, 'checkParked'>
  readonly #mailboxes: Pick<Mailboxes, 'parkedSessions' | 'wakeBehind'>
  readonly #leaseHolds: () => boolean
  readonly #onEnded: (session: SessionRef) => void
  #stopping = false
  readonly #stopped: Promise<void>
  /** Ends the pause before the next check. */
  #pausing = new AbortController()
  #everyMs = EVERY_MS

  /**
   * @param leaseHolds whether this node has handled all notifications up to a moment ago
   * @param onEnded called for sessions that have ended
   */
  constructor(
    database: Pick<SharedDatabase, 'checkParked'>,
    mailboxes: Pick<Mailboxes, 'parkedSessions' | 'wakeBehind'>,
    leaseHolds: () => boolean,
    onEnded: (session: SessionRef) => void,
  ) {
    this.#database = database
    this.#mailboxes = mailboxes
    this.#leaseHolds = leaseHolds
    this.#onEnded = onEnded
    this.#stopped = this.#runPeriodically()
  }

  /** @throws DatabaseUnavailable */
  async runNow(): Promise<void> {
    const polls = this.#mailboxes.parkedSessions()
    for (let at = 0; at < polls.length; at += POLLS_MAX) await this.#check(polls.slice(at, at + POLLS_MAX))
  }

  /** Notifications no longer arrive: shortens a pause that relied on them. */
  runSoon(): void {
    if (this.#everyMs > EVERY_MS_WITHOUT_LEASE) this.#pausing.abort()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#pausing.abort()
    await this.#stopped
  }

  async #runPeriodically() {
    while (!this.#stopping) {
      this.#pausing = new AbortController()
      const { signal } = this.#pausing
      this.#everyMs = this.#leaseHolds() ? EVERY_MS : EVERY_MS_WITHOUT_LEASE
      const batches = Math.ceil(this.#mailboxes.parkedSessions().length / POLLS_MAX) || 1
      // Nodes that started together do not check together.
      const pauseMs = (this.#everyMs * (0.75 + Math.random() / 4)) / batches
      for (let batch = 0; batch < batches; batch += 1) {
        await pause(pauseMs, undefined, { signal, ref: false }).catch(() => {})
        if (signal.aborted) break
        // The polls parked by now. The id decides the batch, so each poll is checked once per round.
        const polls = this.#mailboxes.parkedSessions().filter(({ id }) => numberOf(id) % batches === batch)
        // A store that is unavailable is asked again in the next round.
        await this.#check(polls).catch(() => {})
      }
    }
  }

  async #check(polls: SessionRef[]) {
    if (polls.length === 0) return
    const statuses = await this.#database.checkParked(polls.map(({ id, username }) => ({ id, username })))
    for (const [at, { alive, newestSeq }] of statuses.entries()) {
      const session = polls[at] as SessionRef
      if (alive) this.#mailboxes.wakeBehind(session.username, newestSeq)
      else this.#onEnded(session)
    }
  }
}

/** A number from an id, which is random. */
const numberOf = (id: string) => id.charCodeAt(0) * 64 + id.charCodeAt(1)
