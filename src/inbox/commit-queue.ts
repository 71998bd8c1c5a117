/**
 * Group commit. While one batch is being committed the next one fills: whatever arrives meanwhile goes to the
 * disk with one sync, so the cost of a sync is shared by all who wait for it, and nobody waits for a batch to
 * fill. Where many send at once, a second batch goes to the database behind the first, so that its thread and
 * this one work at the same time. Batches are written in the order in which they went.
 *
 *   append            settles after the commit of its batch, in the order of arrival
 *   settled           waits until all that was said before is in the store
 *   acknowledge, see  are held back, because each writes pages of its own, and ride along with a commit
 *                     within LAZY_MS; losing them in a crash repeats a message or ages a date, and loses
 *                     nothing. `acknowledge`, then `settled`, is durable.
 *
 * An inbox that is full may have been read since, by an acknowledgement that is held back: the commit that
 * takes it along tries those messages once more. A batch that fails was not written at all: those who wait
 * for it are told so, and what rode along rides again.
 */
import {
  type Acknowledgement,
  type Append,
  type AppendOutcome,
  type Database,
  DatabaseUnavailable,
  type Sighting,
} from '../database/database.ts'
import { HeldBack, type Riders } from './held-back.ts'

/**
 * Appends in one transaction. At 10 µs a row a full batch takes 5 ms, which is what the others wait for it.
 */
const BATCH_APPENDS_MAX = 512

/**
 * While a commit is under way, this many appends are worth a second one behind it, so that the thread of the
 * database need not wait for this one. Fewer wait, and share the next sync.
 */
const WORTH_A_COMMIT = 32
const COMMITS_UNDER_WAY_MAX = 2

/**
 * Appends that may wait for a commit; above it a sender is sent away rather than kept waiting for seconds.
 */
const WAITING_APPENDS_MAX = 10_000

/** How long what nobody waits for is held back. */
const LAZY_MS = 500

/** With so much held back the next commit takes it along: at 6 µs each, others wait 6 ms for it. */
const HELD_MAX = 1_000

const NO_RIDERS: Riders = { acknowledgements: [], sightings: [] }

export interface Committed {
  append: Append
  outcome: AppendOutcome
}

interface WaitingAppend {
  append: Append
  resolve: (outcome: AppendOutcome) => void
  reject: (error: unknown) => void
}

type WrittenAppend = WaitingAppend & Committed

interface Settling {
  resolve: () => void
  reject: (error: unknown) => void
}

export class CommitQueue {
  readonly #database: Pick<Database, 'commit'>
  readonly #onCommit: (committed: Committed[]) => void

  #appends: WaitingAppend[] = []
  readonly #held = new HeldBack()
  /** Whether a message waits that may find room when all that is held back is written. */
  #needsRoom = false
  #settling: Settling[] = []
  /** Of each commit that is under way, oldest first, those who wait for it and for all before it. */
  readonly #underWay = new Set<Settling[]>()
  #starter: NodeJS.Immediate | undefined
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
      if (this.#appends.length >= WORTH_A_COMMIT) this.#commitWhatWaits()
      else this.#start()
    })
  }

  acknowledge(acknowledgement: Acknowledgement): void {
    this.#held.acknowledge(acknowledgement)
    this.#startSoon()
  }

  see(sighting: Sighting): void {
    this.#held.see(sighting)
    this.#startSoon()
  }

  /** @throws DatabaseUnavailable when it could not be written */
  settled(): Promise<void> {
    if (this.#underWay.size + this.#appends.length + this.#held.size === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#settling.push({ resolve, reject })
      this.#start()
    })
  }

  #startSoon() {
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyTimer = undefined
      // A failure is told to those who wait; what rode along waits for the next timer.
      this.settled().catch(() => {})
    }, LAZY_MS).unref()
  }

  /** Senders whose requests came in the same turn of the event loop share a commit. */
  #start() {
    this.#starter ??= setImmediate(() => {
      this.#starter = undefined
      this.#commitWhatWaits()
    })
  }

  #commitWhatWaits() {
    while (this.#mayCommit()) void this.#commitNext()
  }

  #mayCommit() {
    if (this.#underWay.size === 0) return this.#appends.length > 0 || this.#settling.length > 0
    return this.#underWay.size < COMMITS_UNDER_WAY_MAX && this.#appends.length >= WORTH_A_COMMIT
  }

  async #commitNext() {
    const riders = this.#takesHeld() ? this.#held.take() : NO_RIDERS
    const mayFindRoom = this.#held.size > 0
    const appends = this.#appends.splice(0, BATCH_APPENDS_MAX)
    this.#needsRoom = false
    // Whoever waits for everything waits for the appends that found no place in this batch, too.
    const settling = this.#appends.length === 0 ? this.#settling.splice(0) : []
    if (appends.length + riders.acknowledgements.length + riders.sightings.length === 0) {
      // What they wait for was in the commit before, which has ended.
      for (const { resolve } of settling) resolve()
      return
    }

    this.#underWay.add(settling)
    try {
      const outcomes = await this.#database.commit({
        ...riders,
        appends: appends.map(({ append }) => append),
      })
      this.#underWay.delete(settling)
      // Not spread, as in poll.ts.
      const written = appends.map(({ append, resolve, reject }, index) => ({
        append,
        outcome: outcomes[index] as AppendOutcome,
        resolve,
        reject,
      }))
      const answered = mayFindRoom ? this.#tryFullAgain(written) : written
      // First of all, so that the disk has work while the senders are answered.
      this.#commitWhatWaits()
      this.#onCommit(answered)
      for (const { resolve, outcome } of answered) resolve(outcome)
      for (const { resolve } of settling) resolve()
    } catch (error) {
      for (const { reject } of appends) reject(error)
      // What this batch carried is not in the store, so neither has anybody settled who waits behind it.
      for (const waiting of this.#underWay) for (const { reject } of waiting.splice(0)) reject(error)
      this.#underWay.delete(settling)
      this.#held.putBack(riders)
      if (this.#held.size > 0) this.#startSoon()
      this.#commitWhatWaits()
    }
  }

  #takesHeld() {
    return this.#needsRoom || this.#settling.length > 0 || this.#held.size >= HELD_MAX
  }

  /** Puts those whose inbox was full before all others. Returns the rest. */
  #tryFullAgain(written: WrittenAppend[]): WrittenAppend[] {
    const full = written.filter(({ outcome }) => outcome.kind === 'inbox_full')
    if (full.length === 0) return written
    this.#appends.unshift(...full)
    this.#needsRoom = true
    return written.filter(({ outcome }) => outcome.kind !== 'inbox_full')
  }
}
