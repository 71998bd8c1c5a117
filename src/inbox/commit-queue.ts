/**
 * Group commit. While one batch is being committed, the next one fills: everything that arrives meanwhile
 * goes to disk with one sync, so all its senders share the cost, and no batch waits to become full. With many
 * senders, a second batch follows the first to the database, so that its thread and this one work at the same
 * time. Results are handled in the order of submission, whichever commit ends first.
 *
 *   append       settles after the commit of its batch, in the order of arrival
 *   acknowledge  goes with the next commit. Where this process alone serves the store it may be deferred for
 *                DEFERRED_MS, since each dirties pages of its own; losing it in a crash repeats messages, and
 *                loses none. Never deferred with several nodes: another would deliver the messages again.
 *   acknowledged resolves when the selected acknowledgements are in the store
 *   noteLastSeen is always deferred: losing it only leaves an older date
 *   flushed      resolves when every earlier call of the above is in the store
 *
 * A deferred acknowledgement may make room in a full inbox: the commit that writes it tries the refused
 * messages once more. The next commit retries those that the store left undecided. A failed batch adds no
 * message: its callers, and flushes behind it, get the error, and deferred writes are kept for the next
 * batch.
 */
import {
  type Acknowledgement,
  type AppendOutcome,
  type CommitOutcome,
  type CommitResult,
  type Database,
  DatabaseUnavailable,
  type LastSeen,
  type NewMessage,
} from '../database/database.ts'
import {
  type CommitUnderWay,
  NO_ROOM,
  type OnCommit,
  type WaitingCaller,
  type WrittenAppend,
  waitIn,
} from './commit-under-way.ts'
import { DeferredWrites, NOTHING_DEFERRED } from './deferred-writes.ts'
import { answerRepeats, separateRepeats, type WaitingAppend } from './repeats.ts'

/** Appends per transaction. At 10 µs per row a full batch takes 5 ms, for which the next ones wait. */
const BATCH_APPENDS_MAX = 512

/**
 * While a commit is under way, this many appends start a second one behind it, so that the database thread
 * need not wait for this one. Fewer wait, and share the next sync.
 */
const WORTH_A_COMMIT = 32
const COMMITS_UNDER_WAY_MAX = 2

/** Appends that may wait for a commit; above it senders get 503 instead of waiting for seconds. */
const WAITING_APPENDS_MAX = 10_000

/** How long writes without a waiting caller are deferred. */
const DEFERRED_MS = 500

/** With so many deferred writes the next commit includes them: at 6 µs each, others wait 6 ms. */
const DEFERRED_MAX = 1_000

export class CommitQueue {
  readonly #database: Pick<Database, 'commit'>
  readonly #onCommit: OnCommit
  readonly #defersAcknowledgements: boolean

  #appends: WaitingAppend[] = []
  readonly #deferred = new DeferredWrites()
  /** Whether the next commit must write what is deferred, even if no flush waits for it. */
  #mustDrain = false
  #flushes: WaitingCaller[] = []
  /** Callers that wait for a deferred acknowledgement. */
  #acknowledged: WaitingCaller[] = []
  /** The commits that are under way, oldest first. */
  readonly #underWay = new Set<CommitUnderWay>()
  /** Settles when the result of the newest commit, and so of all earlier ones, was handled. */
  #handled: Promise<void> = Promise.resolve()
  #starter: NodeJS.Immediate | undefined
  #deferredTimer: NodeJS.Timeout | undefined

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

  /** How many appends wait for a commit. */
  get waiting(): number {
    return this.#appends.length
  }

  /** @throws DatabaseUnavailable when too many wait already, or the batch could not be written */
  append(message: NewMessage): Promise<AppendOutcome> {
    if (this.#appends.length >= WAITING_APPENDS_MAX)
      return Promise.reject(new DatabaseUnavailable('Too many messages wait to be written.'))
    return new Promise((resolve, reject) => {
      this.#appends.push({ message, resolve, reject })
      if (this.#appends.length >= WORTH_A_COMMIT) this.#commitWhatWaits()
      else this.#start()
    })
  }

  acknowledge(acknowledgement: Acknowledgement): void {
    this.#deferred.acknowledge(acknowledgement)
    if (this.#defersAcknowledgements) this.#startSoon()
    else {
      this.#mustDrain = true
      this.#start()
    }
  }

  /**
   * @param matches selects the acknowledgements to wait for
   * @throws DatabaseUnavailable when one could not be written
   */
  acknowledged(matches: (acknowledgement: Acknowledgement) => boolean): Promise<void> {
    if (this.#deferred.hasAcknowledgement(matches)) {
      this.#mustDrain = true
      this.#start()
      return waitIn(this.#acknowledged)
    }
    const carrier = [...this.#underWay].findLast(({ deferred }) => deferred.acknowledgements.some(matches))
    return carrier ? waitIn(carrier.acknowledged) : Promise.resolve()
  }

  noteLastSeen(seen: LastSeen): void {
    this.#deferred.noteLastSeen(seen)
    this.#startSoon()
  }

  /** When an account or a session was last online, if that is not yet in the store. */
  lastSeenAtMs(username: string, sessionId?: string): number | undefined {
    return this.#deferred.lastSeenAtMs({ username, sessionId })
  }

  /** @throws DatabaseUnavailable when it could not be written */
  flushed(): Promise<void> {
    if (this.#underWay.size + this.#appends.length + this.#deferred.size === 0) return Promise.resolve()
    this.#start()
    return waitIn(this.#flushes)
  }

  #startSoon() {
    this.#deferredTimer ??= setTimeout(() => {
      this.#deferredTimer = undefined
      // Waiting callers get the error; deferred writes stay for the next timer.
      this.flushed().catch(() => {})
    }, DEFERRED_MS).unref()
  }

  /** Sends that arrive in the same turn of the event loop share a commit. */
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
    if (this.#underWay.size === 0) return this.#appends.length > 0 || this.#shouldDrain()
    return this.#underWay.size < COMMITS_UNDER_WAY_MAX && this.#appends.length >= WORTH_A_COMMIT
  }

  #shouldDrain() {
    return this.#mustDrain || this.#flushes.length > 0
  }

  #commitNext() {
    const drains = this.#shouldDrain() || this.#deferred.size >= DEFERRED_MAX
    const deferred = drains ? this.#deferred.drain() : NOTHING_DEFERRED
    const acknowledged = drains ? this.#acknowledged.splice(0) : []
    this.#mustDrain = false
    const { appends, repeats } = separateRepeats(this.#appends.splice(0, BATCH_APPENDS_MAX))
    // A flush also waits for appends that did not fit into this batch.
    const flushes = this.#appends.length === 0 ? this.#flushes.splice(0) : []
    if (appends.length + deferred.acknowledgements.length + deferred.lastSeen.length === 0) {
      // Everything they wait for was in an earlier commit, which has ended.
      for (const { resolve } of flushes) resolve()
      return
    }

    const outcome = this.#database.commit({ ...deferred, appends: appends.map(({ message }) => message) })
    const commit = { deferred, appends, repeats, flushes, acknowledged, mayFindRoom: this.#deferred.size > 0 }
    this.#underWay.add(commit)
    this.#handled = this.#finish(commit, outcome, this.#handled)
  }

  async #finish(commit: CommitUnderWay, outcome: Promise<CommitResult>, older: Promise<void>): Promise<void> {
    const [result] = await Promise.allSettled([outcome, older])
    if (result.status === 'fulfilled') this.#succeed(commit, result.value)
    else this.#fail(commit, result.reason)
  }

  #succeed(commit: CommitUnderWay, { outcomes, receipts }: CommitResult) {
    const { deferred, appends, repeats, flushes, acknowledged, mayFindRoom } = commit
    this.#underWay.delete(commit)
    this.#deferred.written(deferred)
    const undecided: WaitingAppend[] = []
    const written: WrittenAppend[] = []
    for (const [index, waiting] of appends.entries()) {
      const outcome = outcomes[index] as CommitOutcome
      const { message, resolve, reject } = waiting
      // Not spread, as in poll.ts.
      if (outcome.kind === 'undecided') undecided.push(waiting)
      else written.push({ message, outcome, resolve, reject })
    }
    const unknown = repeats.length === 0 ? [] : answerRepeats(written, repeats)
    if (undecided.length + unknown.length > 0) this.#appends.unshift(...undecided, ...unknown)
    const answered = mayFindRoom ? this.#tryFullAgain(written) : written
    // Every flush also waits for the appends that are tried again.
    if (answered.length < appends.length || unknown.length > 0)
      this.#flushes.unshift(...[commit, ...this.#underWay].flatMap((each) => each.flushes.splice(0)))
    // Start the next commit first, so that the disk is busy while the senders are answered.
    this.#commitWhatWaits()
    this.#onCommit(answered, receipts)
    for (const { resolve, outcome } of answered) resolve(outcome)
    for (const { resolve } of [...acknowledged, ...flushes]) resolve()
  }

  #fail(commit: CommitUnderWay, error: unknown) {
    const { deferred, appends, repeats, acknowledged } = commit
    for (const { reject } of [...appends, ...repeats, ...acknowledged]) reject(error)
    // What this batch contained is not in the store, so all flushes behind it fail, too.
    for (const { flushes } of [...this.#underWay, { flushes: this.#flushes }])
      for (const { reject } of flushes.splice(0)) reject(error)
    this.#underWay.delete(commit)
    this.#deferred.requeue(deferred)
    if (this.#deferred.size > 0) this.#startSoon()
    this.#commitWhatWaits()
  }

  /** Queues appends to full inboxes again, before all others. Returns the rest. */
  #tryFullAgain(written: WrittenAppend[]): WrittenAppend[] {
    const full = written.filter(({ outcome }) => NO_ROOM.has(outcome.kind))
    if (full.length === 0) return written
    this.#appends.unshift(...full)
    this.#mustDrain = true
    return written.filter(({ outcome }) => !NO_ROOM.has(outcome.kind))
  }
}
