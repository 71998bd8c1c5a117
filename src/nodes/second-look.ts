import { setTimeout as pause } from 'node:timers/promises'
import type { SharedDatabase } from '../database/shared-database.ts'
import type { Poller } from '../inbox/waiter.ts'
import type { Waiters } from '../inbox/waiters.ts'

/**
 * How long a parked poll may miss a message whose hint was lost: while hints arrive, and while they do not.
 */
const EVERY_MS = 15_000
const EVERY_MS_DEAF = 700

/** Polls that one statement looks for, or about as many. */
const POLLS_MAX = 500

/**
 * Looks into the store for those who wait: a hint may be lost, and the store is the truth. One statement for
 * many, spread over the time.
 */
export class SecondLook {
  readonly #database: Pick<SharedDatabase, 'lookAt'>
  readonly #waiters: Pick<Waiters, 'parked' | 'tell'>
  readonly #hears: () => boolean
  readonly #onEnded: (poller: Poller) => void
  #stopping = false
  readonly #stopped: Promise<void>
  /** Ends the pause before the next look. */
  #pausing = new AbortController()
  #everyMs = EVERY_MS

  /** @param onEnded told of those whose session is over */
  constructor(
    database: Pick<SharedDatabase, 'lookAt'>,
    waiters: Pick<Waiters, 'parked' | 'tell'>,
    hears: () => boolean,
    onEnded: (poller: Poller) => void,
  ) {
    this.#database = database
    this.#waiters = waiters
    this.#hears = hears
    this.#onEnded = onEnded
    this.#stopped = this.#lookOnAndOn()
  }

  /** @throws DatabaseUnavailable */
  async lookNow(): Promise<void> {
    const polls = this.#waiters.parked()
    for (let at = 0; at < polls.length; at += POLLS_MAX) await this.#look(polls.slice(at, at + POLLS_MAX))
  }

  /** Hints do not arrive any more: what was to be looked at later is looked at soon. */
  hurry(): void {
    if (this.#everyMs > EVERY_MS_DEAF) this.#pausing.abort()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#pausing.abort()
    await this.#stopped
  }

  async #lookOnAndOn() {
    while (!this.#stopping) {
      this.#pausing = new AbortController()
      const { signal } = this.#pausing
      this.#everyMs = this.#hears() ? EVERY_MS : EVERY_MS_DEAF
      const portions = Math.ceil(this.#waiters.parked().length / POLLS_MAX) || 1
      // Nodes that started together do not look together.
      const pauseMs = (this.#everyMs * (0.75 + Math.random() / 4)) / portions
      for (let portion = 0; portion < portions; portion += 1) {
        await pause(pauseMs, undefined, { signal, ref: false }).catch(() => {})
        if (signal.aborted) break
        // Those who wait by now; each belongs to one portion, whoever comes and goes.
        const polls = this.#waiters.parked().filter(({ id }) => numberOf(id) % portions === portion)
        // A store that is away for a moment is asked again in the next round.
        await this.#look(polls).catch(() => {})
      }
    }
  }

  async #look(polls: Poller[]) {
    if (polls.length === 0) return
    const looked = await this.#database.lookAt(polls.map(({ id, username }) => ({ id, username })))
    for (const [at, { alive, newestSeq }] of looked.entries()) {
      const poller = polls[at] as Poller
      if (alive) this.#waiters.tell(poller.username, newestSeq)
      else this.#onEnded(poller)
    }
  }
}

/** Ids are random. */
const numberOf = (id: string) => id.charCodeAt(0) * 64 + id.charCodeAt(1)
