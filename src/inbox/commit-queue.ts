/**
 * Group commit. While one batch is being committed the next one fills: whatever arrives meanwhile goes to the
 * disk with one sync, so the cost of a sync is shared by all who wait for it, and nobody waits for a batch to
 * fill. Where many send at once, a second batch goes to the database behind the first, so that its thread and
 * this one work at the same time. Whichever ends first, they are acted upon in the order in which they went.
 *
 *   append       settles after the commit of its batch, in the order of arrival
 *   acknowledge  goes with the next commit. Where this process alone serves the store it may be deferred for
 *                LAZY_MS, since each dirties pages of its own; losing it in a crash repeats messages, and
 *                loses none. Other nodes would hand out again what was acknowledged here.
 *   acknowledged resolves when what some sessions have acknowledged is in the store. It waits for no other.
 *   see          is always deferred: losing it ages a date
 *   flushed      resolves when all of the above that came before is in the store
 *
 * An inbox that has no room may have been read since, by an acknowledgement that is deferred: the commit that
 * takes it along tries those messages once more. So does the next commit those that the store left undecided.
 * A batch that fails adds no message: those who wait for it, or for what came after it, get the error, and
 * what was deferred is kept for the next one.
 */
import {
  type Acknowledgement,
  type Append,
  type AppendOutcome,
  type CommitOutcome,
  type CommitResult,
  type Database,
  DatabaseUnavailable,
  type Sighting,
} from '../database/database.ts'
import { type Flush, type Going, type OnCommit, type WrittenAppend, waitIn } from './going.ts'
import { HeldBack, NO_RIDERS } from './held-back.ts'
import { answerRepeats, apart, type WaitingAppend } from './repeats.ts'

/** Appends in one transaction. At 10 µs a row a full batch takes 5 ms, for which the others wait. */
const BATCH_APPENDS_MAX = 512

/**
 * While a commit is under way, this many appends are worth a second one behind it, so that the thread of the
 * database need not wait for this one. Fewer wait, and share the next sync.
 */
const WORTH_A_COMMIT = 32
const COMMITS_UNDER_WAY_MAX = 2

/** Appends that may wait for a commit; above it a sender is sent away rather than kept for seconds. */
const WAITING_APPENDS_MAX = 10_000

/** How long what nobody waits for is held back. */
const LAZY_MS = 500

/** With so much held back the next commit takes it along: at 6 µs each, others wait 6 ms for it. */
const HELD_MAX = 1_000

/** What an acknowledgement may change. */
const NO_ROOM: ReadonlySet<AppendOutcome['kind']> = new Set([
  'inbox_full',
  'too_many_unread',
  'too_many_receipts',
])

export class CommitQueue {
  readonly #database: Pick<Database, 'commit'>
  readonly #onCommit: OnCommit
  readonly #defersAcknowledgements: boolean

  #appends: WaitingAppend[] = []
  readonly #held = new HeldBack()
  /** Whether what is held must go with the next commit, even where no flush waits for it. */
  #takesHeld = false
  #flushes: Flush[] = []
  /** Those who wait for an acknowledgement that is held. */
  #acknowledged: Flush[] = []
  /** The commits that are under way, oldest first. */
  readonly #underWay = new Set<Going>()
  /** Settles when the newest commit, and so all before it, were acted upon. */
  #actedUpon: Promise<void> = Promise.resolve()
  #starter: NodeJS.Immediate | undefined
  #lazyTimer: NodeJS.Timeout | undefined

  /**
   * @param onCommit called after each commit, before its senders are answered
   * @param defersAcknowledgements false where other nodes read the store
   */
  constructor(
    database: Pick<Database, 'commit'>,
    onCommit: OnCommit,
    { defersAcknowledgements = true } = {},
  ) {
    this.#database = database
    this.#onCommit = onCommit
    this.#defersAcknowledgements = defersAcknowledgements
  }

  /** How many appends no commit has taken yet. */
  get waiting(): number {
    return this.#appends.length
  }

  /** @throws DatabaseUnavailable when too many wait already, or the batch could not be written */
  append(append: Append): Promise<AppendOutcome> {
    if (this.#appends.length >= WAITING_APPENDS_MAX)
      return Promise.reject(new DatabaseUnavailable('Too many messages wait to be written.'))
    return new Promise((resolve, reject) => {
      this.#appends.push({ append, resolve, reject })
      if (this.#appends.length >= WORTH_A_COMMIT) this.#commitWhatWaits()
      else this.#start()
    })
  }

  acknowledge(acknowledgement: Acknowledgement): void {
    this.#held.acknowledge(acknowledgement)
    if (this.#defersAcknowledgements) this.#startSoon()
    else {
      this.#takesHeld = true
      this.#start()
    }
  }

  /**
   * @param isMeant which acknowledgements are waited for
   * @throws DatabaseUnavailable when one could not be written
   */
  acknowledged(isMeant: (acknowledgement: Acknowledgement) => boolean): Promise<void> {
    if (this.#held.hasAcknowledgement(isMeant)) {
      this.#takesHeld = true
      this.#start()
      return waitIn(this.#acknowledged)
    }
    const carrier = [...this.#underWay].findLast(({ riders }) => riders.acknowledgements.some(isMeant))
    return carrier ? waitIn(carrier.acknowledged) : Promise.resolve()
  }

  see(sighting: Sighting): void {
    this.#held.see(sighting)
    this.#startSoon()
  }

  /** When an account or a session was last online, where the store does not know it yet. */
  lastSeenAtMs(username: string, sessionId?: string): number | undefined {
    return this.#held.lastSeenAtMs({ username, sessionId })
  }

  /** @throws DatabaseUnavailable when it could not be written */
  flushed(): Promise<void> {
    if (this.#underWay.size + this.#appends.length + this.#held.size === 0) return Promise.resolve()
    this.#start()
    return waitIn(this.#flushes)
  }

  #startSoon() {
    this.#lazyTimer ??= setTimeout(() => {
      this.#lazyTimer = undefined
      // Those who wait get the error; what was deferred waits for the next timer.
      this.flushed().catch(() => {})
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
    while (this.#mayCommit()) this.#commitNext()
  }

  #mayCommit() {
    if (this.#underWay.size === 0) return this.#appends.length > 0 || this.#mustTakeHeld()
    return this.#underWay.size < COMMITS_UNDER_WAY_MAX && this.#appends.length >= WORTH_A_COMMIT
  }

  #mustTakeHeld() {
    return this.#takesHeld || this.#flushes.length > 0
  }

  #commitNext() {
    const takesHeld = this.#mustTakeHeld() || this.#held.size >= HELD_MAX
    const riders = takesHeld ? this.#held.take() : NO_RIDERS
    const acknowledged = takesHeld ? this.#acknowledged.splice(0) : []
    this.#takesHeld = false
    const { appends, repeats } = apart(this.#appends.splice(0, BATCH_APPENDS_MAX))
    // A flush waits for the appends that found no place in this batch, too.
    const flushes = this.#appends.length === 0 ? this.#flushes.splice(0) : []
    if (appends.length + riders.acknowledgements.length + riders.sightings.length === 0) {
      // What they wait for was in the commit before, which has ended.
      for (const { resolve } of flushes) resolve()
      return
    }

    const commit = this.#database.commit({ ...riders, appends: appends.map(({ append }) => append) })
    const going = { riders, appends, repeats, flushes, acknowledged, mayFindRoom: this.#held.size > 0 }
    this.#underWay.add(going)
    this.#actedUpon = this.#actUpon(going, commit, this.#actedUpon)
  }

  async #actUpon(going: Going, commit: Promise<CommitResult>, older: Promise<void>): Promise<void> {
    const [result] = await Promise.allSettled([commit, older])
    if (result.status === 'fulfilled') this.#succeed(going, result.value)
    else this.#fail(going, result.reason)
  }

  #succeed(going: Going, { outcomes, receipts }: CommitResult) {
    const { riders, appends, repeats, flushes, acknowledged, mayFindRoom } = going
    this.#underWay.delete(going)
    this.#held.written(riders)
    const undecided: WaitingAppend[] = []
    const written: WrittenAppend[] = []
    for (const [index, waiting] of appends.entries()) {
      const outcome = outcomes[index] as CommitOutcome
      const { append, resolve, reject } = waiting
      // Not spread, as in poll.ts.
      if (outcome.kind === 'undecided') undecided.push(waiting)
      else written.push({ append, outcome, resolve, reject })
    }
    const unknown = repeats.length === 0 ? [] : answerRepeats(written, repeats)
    if (undecided.length + unknown.length > 0) this.#appends.unshift(...undecided, ...unknown)
    const answered = mayFindRoom ? this.#tryFullAgain(written) : written
    // A flush waits for those that are tried again, too, also one that waits behind them.
    if (answered.length < appends.length || unknown.length > 0)
      this.#flushes.unshift(...[going, ...this.#underWay].flatMap((each) => each.flushes.splice(0)))
    // Start the next commit first, so that the disk is busy while the senders are answered.
    this.#commitWhatWaits()
    this.#onCommit(answered, receipts)
    for (const { resolve, outcome } of answered) resolve(outcome)
    for (const { resolve } of [...acknowledged, ...flushes]) resolve()
  }

  #fail(going: Going, error: unknown) {
    const { riders, appends, repeats, acknowledged } = going
    for (const { reject } of [...appends, ...repeats, ...acknowledged]) reject(error)
    // What this batch carried is not in the store, so nothing is flushed for those who wait behind it.
    for (const { flushes } of [...this.#underWay, { flushes: this.#flushes }])
      for (const { reject } of flushes.splice(0)) reject(error)
    this.#underWay.delete(going)
    this.#held.putBack(riders)
    if (this.#held.size > 0) this.#startSoon()
    this.#commitWhatWaits()
  }

  /** Puts those whose inbox had no room before all others. Returns the rest. */
  #tryFullAgain(written: WrittenAppend[]): WrittenAppend[] {
    const full = written.filter(({ outcome }) => NO_ROOM.has(outcome.kind))
    if (full.length === 0) return written
    this.#appends.unshift(...full)
    this.#takesHeld = true
    return written.filter(({ outcome }) => !NO_ROOM.has(outcome.kind))
  }
}
