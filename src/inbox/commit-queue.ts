/**
 * Group commit. While one batch is being committed the next one fills: whatever arrives meanwhile goes to the
 * disk with one sync, so the cost of a sync is shared by all who wait for it, and nobody waits for a batch to
 * fill.
 *
 *   append            settles after the commit of its batch, in the order of arrival
 *   settled           waits until all that was said before is in the store
 *   acknowledge, see  ride along with the next commit, which comes within LAZY_MS; losing them in a crash
 *                     repeats a message or ages a date, and loses nothing. `acknowledge`, then `settled`, is
 *                     durable.
 *
 * A batch that fails was not written at all: those who wait for it are told so, and what rode along rides
 * again.
 */
import { setImmediate } from 'node:timers/promises'
import {
  type Acknowledgement,
  type Append,
  type AppendOutcome,
  type Database,
  DatabaseUnavailable,
  type Sighting,
} from '../database/database.ts'

/**
 * Appends in one transaction. At 10 µs a row a full batch takes 5 ms, which is what the others wait for it.
 */
const BATCH_APPENDS_MAX = 512

/**
 * Appends that may wait for a commit; above it a sender is sent away rather than kept waiting for seconds.
 */
const WAITING_APPENDS_MAX = 10_000

/** How long what nobody waits for may stay in memory. */
const LAZY_MS = 500

export interface Committed {
  append: Append
  outcome: AppendOutcome
}

interface WaitingAppend {
  append: Append
  resolve: (outcome: AppendOutcome) => void
  reject: (error: unknown) => void
}

interface Settling {
  resolve: () => void
  reject: (error: unknown) => void
}

export class CommitQueue {
  readonly #database: Pick<Database, 'commit'>
  readonly #onCommit: (committed: Committed[]) => void

  #appends: WaitingAppend[] = []
  /** The furthest acknowledgement of each session. */
  #acknowledgements = new Map<string, Acknowledgement>()
  /** The latest sighting of each account. */
  #sightings = new Map<string, Sighting>()
  #settling: Settling[] = []
  #running = false
  #lazyTimer: NodeJS.Timeout | undefined

  /** @param onCommit called after each commit, before its senders are answered, with its appends in order */
  constructor(database: Pick<Database, 'commit'>, onCommit: (committed: Committed[]) => void) {
    this.#database = database
    this.#onCommit = onCommit
  }

  /** @throws DatabaseUnavailable when too many wait already, or the batch could not be written */
  append(append: Append): Promise<AppendOutcome> {
    if (this.#appends.length >= WAITING_APPENDS_MAX) {
      return Promise.reject(new DatabaseUnavailable('Too many messages wait to be written.'))
    }
    return new Promise((resolve, reject) => {
      this.#appends.push({ append, resolve, reject })
      this.#start()
    })
  }

  acknowledge(acknowledgement: Acknowledgement): void {
    const known = this.#acknowledgements.get(acknowledgement.sessionId)
    if (known && known.seq >= acknowledgement.seq) return
    this.#acknowledgements.set(acknowledgement.sessionId, acknowledgement)
    this.#startSoon()
  }

  see(sighting: Sighting): void {
    const known = this.#sightings.get(sighting.username)
    if (known && known.atMs >= sighting.atMs) return
    this.#sightings.set(sighting.username, sighting)
    this.#startSoon()
  }

  /** @throws DatabaseUnavailable when it could not be written */
  settled(): Promise<void> {
    if (!this.#running && !this.#ridersWait()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#settling.push({ resolve, reject })
      this.#start()
    })
  }

  #ridersWait() {
    return this.#acknowledgements.size > 0 || this.#sightings.size > 0
  }

  #startSoon() {
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyTimer = undefined
      // A failure is told to those who wait; what rode along waits for the next timer.
      this.settled().catch(() => {})
    }, LAZY_MS).unref()
  }

  #start() {
    if (!this.#running) void this.#run()
  }

  async #run() {
    this.#running = true
    // Senders whose requests came in the same turn of the event loop share the first commit.
    await setImmediate()
    while (this.#appends.length > 0 || this.#settling.length > 0) await this.#commitNext()
    this.#running = false
    if (this.#ridersWait()) this.#startSoon()
  }

  async #commitNext() {
    const appends = this.#appends.splice(0, BATCH_APPENDS_MAX)
    // Whoever waits for everything waits for the appends that found no place in this batch, too.
    const settling = this.#appends.length === 0 ? this.#settling.splice(0) : []
    const acknowledgements = this.#acknowledgements
    const sightings = this.#sightings
    this.#acknowledgements = new Map()
    this.#sightings = new Map()

    try {
      if (appends.length > 0 || acknowledgements.size > 0 || sightings.size > 0) {
        const outcomes = await this.#database.commit({
          acknowledgements: [...acknowledgements.values()],
          sightings: [...sightings.values()],
          appends: appends.map(({ append }) => append),
        })
        this.#answer(appends, outcomes)
      }
      for (const { resolve } of settling) resolve()
    } catch (error) {
      for (const { reject } of [...appends, ...settling]) reject(error)
      this.#rideAgain(acknowledgements, sightings)
    }
  }

  #answer(appends: WaitingAppend[], outcomes: AppendOutcome[]) {
    const committed = appends.map(({ append }, index) => ({
      append,
      outcome: outcomes[index] as AppendOutcome,
    }))
    this.#onCommit(committed)
    for (const [index, { resolve }] of appends.entries()) resolve(outcomes[index] as AppendOutcome)
  }

  /** Puts back what a failed batch carried, behind what was said since. */
  #rideAgain(acknowledgements: Map<string, Acknowledgement>, sightings: Map<string, Sighting>) {
    for (const acknowledgement of acknowledgements.values()) this.acknowledge(acknowledgement)
    for (const sighting of sightings.values()) this.see(sighting)
  }
}
