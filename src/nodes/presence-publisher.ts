import type { SharedDatabase } from '../database/shared-database.ts'
import type { Poller } from '../inbox/waiter.ts'
import type { Waiters } from '../inbox/waiters.ts'

/** How long changes are collected for one statement, and so how late other nodes learn of them. */
const PUBLISH_MS = 100

/** How often sessions that stopped polling are looked for, and the pause before a retry. */
const SWEEP_MS = 1_000

/**
 * Publishes to the other nodes which sessions poll this one. Writes once when a session begins to poll, and
 * once when its last poll has been over for the grace time, however often it polls in between.
 */
export class PresencePublisher {
  readonly #database: Pick<SharedDatabase, 'addPresence' | 'removePresence'>
  readonly #waiters: Pick<Waiters, 'isPresent'>
  readonly #present = new Map<string, Poller>()
  /** Changes not yet written, by session: whether it polls here. */
  #unpublished = new Map<string, boolean>()
  #timer: NodeJS.Timeout | undefined
  readonly #sweeper: NodeJS.Timeout
  #publishing = Promise.resolve()

  constructor(
    database: Pick<SharedDatabase, 'addPresence' | 'removePresence'>,
    waiters: Pick<Waiters, 'isPresent'>,
  ) {
    this.#database = database
    this.#waiters = waiters
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** A session begins a poll on this node. */
  enter(poller: Poller): void {
    if (!this.#present.has(poller.id)) this.#note(poller.id, true)
    // Only the latest object of a session knows whether it has ended.
    this.#present.set(poller.id, poller)
  }

  /** Publishes everything again: this node may have counted as dead. */
  publishAll(): void {
    for (const id of this.#present.keys()) this.#note(id, true)
  }

  /** Publishes that no session polls here, because the node stops. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    clearTimeout(this.#timer)
    await this.#publishing
    // A failed attempt is not repeated.
    clearTimeout(this.#timer)
    await this.#database.removePresence([...this.#present.keys(), ...this.#unpublished.keys()]).catch(() => {
      // Then they expire with this node's last heartbeat.
    })
  }

  #sweep() {
    for (const [id, poller] of this.#present) {
      if (!poller.ended && this.#waiters.isPresent(poller)) continue
      this.#present.delete(id)
      this.#note(id, false)
    }
  }

  #note(id: string, present: boolean) {
    this.#unpublished.set(id, present)
    this.#publishIn(PUBLISH_MS)
  }

  #publishIn(ms: number) {
    this.#timer ??= setTimeout(() => {
      this.#publishing = this.#publish()
    }, ms).unref()
  }

  /** One at a time, so that the latest change wins. */
  async #publish() {
    // Sessions that stopped polling meanwhile are not published.
    this.#sweep()
    const unpublished = this.#unpublished
    this.#unpublished = new Map()
    const those = (present: boolean) => [...unpublished].flatMap(([id, is]) => (is === present ? [id] : []))
    try {
      await this.#database.removePresence(those(false))
      await this.#database.addPresence(those(true))
      this.#timer = undefined
      if (this.#unpublished.size > 0) this.#publishIn(PUBLISH_MS)
    } catch {
      this.#unpublished = new Map([...unpublished, ...this.#unpublished])
      this.#timer = undefined
      this.#publishIn(SWEEP_MS)
    }
  }
}
