import type { SharedDatabase } from '../database/shared-database.ts'
import type { Poller } from '../inbox/waiter.ts'
import type { Waiters } from '../inbox/waiters.ts'

/** How long it may take until the other nodes know who is here; what happens meanwhile is one statement. */
const TELL_MS = 100

/** Between two looks for those who have gone, and before another try. */
const SWEEP_MS = 1_000

/**
 * Tells the other nodes which sessions poll this one. It is written when the first poll of a session begins,
 * and when the last has been over for the grace time; in between nothing is, however often it polls.
 */
export class Announcements {
  readonly #database: Pick<SharedDatabase, 'appear' | 'disappear'>
  readonly #waiters: Pick<Waiters, 'isPresent'>
  readonly #present = new Map<string, Poller>()
  /** What the others do not know yet, by session: whether it is here. */
  #untold = new Map<string, boolean>()
  #teller: NodeJS.Timeout | undefined
  readonly #sweeper: NodeJS.Timeout
  #telling = Promise.resolve()

  constructor(database: Pick<SharedDatabase, 'appear' | 'disappear'>, waiters: Pick<Waiters, 'isPresent'>) {
    this.#database = database
    this.#waiters = waiters
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** A poll of this session begins here. */
  enter(poller: Poller): void {
    if (!this.#present.has(poller.id)) this.#note(poller.id, true)
    // The latest object of a session is the one that knows whether it has ended.
    this.#present.set(poller.id, poller)
  }

  /** Says everything again: it may have been forgotten that this node is alive. */
  repeat(): void {
    for (const id of this.#present.keys()) this.#note(id, true)
  }

  /** Says that everybody has gone, for the node ends. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    clearTimeout(this.#teller)
    await this.#telling
    // What could not be told will be told no more.
    clearTimeout(this.#teller)
    await this.#database.disappear([...this.#present.keys(), ...this.#untold.keys()]).catch(() => {
      // Then they are gone with this node's last heartbeat.
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
    this.#untold.set(id, present)
    this.#tellIn(TELL_MS)
  }

  #tellIn(ms: number) {
    this.#teller ??= setTimeout(() => {
      this.#telling = this.#tell()
    }, ms).unref()
  }

  /** One at a time, so that what was said last holds. */
  async #tell() {
    // Whoever has gone in the meantime is not said to be here.
    this.#sweep()
    const untold = this.#untold
    this.#untold = new Map()
    const those = (present: boolean) => [...untold].flatMap(([id, is]) => (is === present ? [id] : []))
    try {
      await this.#database.disappear(those(false))
      await this.#database.appear(those(true))
      this.#teller = undefined
      if (this.#untold.size > 0) this.#tellIn(TELL_MS)
    } catch {
      this.#untold = new Map([...untold, ...this.#untold])
      this.#teller = undefined
      this.#tellIn(SWEEP_MS)
    }
  }
}
