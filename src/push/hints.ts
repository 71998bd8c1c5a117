/**
 * Decides which sessions get a push hint, and when. A send only notes the recipient's username and the seq of
 * its message. Later, one statement finds the push subscriptions of all noted usernames, and a second one
 * claims those that are due.
 *
 *   due      The session has not acknowledged the message, has no mark, and is not online. An online session
 *            is checked again after the time to acknowledge: a frozen phone keeps its connection, and a phone
 *            without network counts as online for a while.
 *   mark     Stored with the subscription, so it survives a restart and holds on every node. It is void when
 *            it has expired, when the session has acknowledged the hinted message, and when the session
 *            reads: the mark is removed before the page is read, so a message is either on the page or
 *            hinted.
 *   claim    A short mark. The node that sets it sends the hint. After the hint was sent, the mark lasts as
 *            long as the push service keeps the hint; otherwise it is removed. When a node is killed, a node
 *            that has found its claim checks again after it expires.
 *
 * A start does not search for unhinted messages. A lost hint delays a message until the next one comes or the
 * client reads by itself.
 */
import { randomBytes } from 'node:crypto'
import type { Sessions } from '../accounts/sessions.ts'
import { type Clock, monotonicMs } from '../clock.ts'
import { type ClaimedHint, type Database, DatabaseUnavailable, type Sleeper } from '../database/database.ts'
import { TokenBuckets } from '../limits/token-buckets.ts'
import type { Presence } from '../presence.ts'
import type { HintSender } from './hint-sender.ts'
import { type PendingInbox, PendingInboxes } from './pending-inboxes.ts'

/** How many usernames one statement looks up, in a few ms. */
const NAMES_MAX = 500

/** The time between two checks, so messages that follow each other share one. It delays a hint by as much. */
const PAUSE_MS = 40

/** The time until the next check when the database is unavailable. */
const PAUSE_AFTER_FAILURE_MS = 1_000

/** The time for an online session to acknowledge a message. */
const ACKNOWLEDGE_MS = 15_000

/** How long a claim lasts after it was set or renewed. */
const CLAIM_MS = 30_000

/** The longest mark: hints are not kept longer by push services. A longer one was set by a wrong clock. */
const MARK_MS_MAX = 24 * 3_600_000
const WRONG_MS = MARK_MS_MAX + 3_600_000

/** The same for a claim, which holds for less than a minute. */
const WRONG_CLAIM_MS = 300_000

/**
 * The rate limit of hints per account, because each makes the server connect to a host that a client chose.
 */
const HINTS_OF_ACCOUNT = { burst: 100, everyMs: 5_000 }

type HintsDatabase = Pick<
  Database,
  'findSleepers' | 'claimHints' | 'extendHint' | 'dropHint' | 'takeHintsBack' | 'forgetPushSubscription'
>

/** What this process knows about sessions beyond the store. */
export interface LiveSessions {
  presence: Pick<Presence, 'isSessionOnlineHere'>
  sessions: Pick<Sessions, 'acknowledgedSeq'>
}

export interface HintsSettings {
  onFault: (error: unknown) => void
  rateLimits: boolean
  /** For tests: shorter times. */
  times?: HintsTimes | undefined
}

export interface HintsTimes {
  acknowledgeMs?: number
  claimMs?: number
}

export class Hints {
  readonly #database: HintsDatabase
  readonly #sender: HintSender
  readonly #live: LiveSessions
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #rate: TokenBuckets | undefined
  readonly #acknowledgeMs: number
  readonly #claimMs: number
  /** Unique to this process. */
  readonly #claim = randomBytes(9).toString('base64url')
  readonly #pending: PendingInboxes
  readonly #underWay = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #checking: Promise<void> | undefined
  #nextCheckMs = Number.NEGATIVE_INFINITY
  #closing = false

  constructor(
    database: HintsDatabase,
    sender: HintSender,
    live: LiveSessions,
    clock: Clock,
    { onFault, rateLimits, times }: HintsSettings,
  ) {
    this.#database = database
    this.#sender = sender
    this.#live = live
    this.#clock = clock
    this.#onFault = onFault
    this.#rate = rateLimits ? new TokenBuckets(HINTS_OF_ACCOUNT) : undefined
    this.#acknowledgeMs = times?.acknowledgeMs ?? ACKNOWLEDGE_MS
    this.#claimMs = times?.claimMs ?? CLAIM_MS
    this.#pending = new PendingInboxes(this.#acknowledgeMs / 15, () => this.#checkSoon())
  }

  /** Notes a committed message. Every send calls it, so it does little. */
  added(username: string, seq: number): void {
    this.#pending.add(username, seq)
    this.#checkSoon()
  }

  /** Removes the mark of a session that reads, so the next message is hinted again. */
  async takeBack(sessionId: string): Promise<void> {
    await this.#database.takeHintsBack(sessionId, this.#clock()).catch((error: unknown) => {
      // The read goes on. The mark becomes void when the messages are acknowledged.
      if (!(error instanceof DatabaseUnavailable)) throw error
    })
  }

  /** Sends the hints that are due now, waits a short time for requests under way, and stops. */
  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#timer)
    await this.#checking
    await this.#check()
    await this.#sender.close()
    await Promise.all(this.#underWay)
  }

  #checkSoon() {
    if (this.#timer || this.#checking || this.#closing) return
    const waitMs = Math.max(this.#nextCheckMs - monotonicMs(), 0)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#checking = this.#check().then(() => {
        this.#checking = undefined
        if (!this.#pending.isEmpty) this.#checkSoon()
      })
    }, waitMs).unref()
  }

  async #check(): Promise<void> {
    const pending = this.#pending.take(NAMES_MAX)
    let pauseMs = pending.size < NAMES_MAX ? PAUSE_MS : 0
    try {
      if (pending.size > 0) await this.#sendDue(pending)
    } catch (error) {
      if (error instanceof DatabaseUnavailable)
        for (const [username, each] of pending) this.#pending.requeue(username, each)
      else this.#onFault(error)
      pauseMs = PAUSE_AFTER_FAILURE_MS
    }
    this.#nextCheckMs = monotonicMs() + pauseMs
  }

  async #sendDue(pending: Map<string, PendingInbox>): Promise<void> {
    const sleepers = await this.#database.findSleepers([...pending.keys()])
    const due = sleepers.filter((sleeper) =>
      this.#isDue(sleeper, pending.get(sleeper.username) as PendingInbox),
    )
    if (due.length === 0) return
    const hints = due.map(({ id, username, newestSeq, hintedUntilMs: foundUntilMs }) => {
      const { seq } = pending.get(username) as PendingInbox
      return { id, seq: Math.max(newestSeq, seq), foundUntilMs }
    })
    const claimed = await this.#database.claimHints(hints, this.#claim, this.#clock() + this.#claimMs)
    for (const hint of claimed) this.#send(hint)
    // Another node was faster, or the session has read meanwhile: check again.
    const ids = new Set(claimed.map(({ id }) => id))
    for (const { id, username } of due)
      if (!ids.has(id)) this.#pending.requeue(username, pending.get(username) as PendingInbox)
  }

  /** Whether a hint to a session is due now. Schedules another check if it may become due. */
  #isDue(sleeper: Sleeper, { seq, overdueSeq }: PendingInbox): boolean {
    const { accountId, username, sessionId, hintedSeq = 0, hintedUntilMs = 0, claim } = sleeper
    const inMemory = this.#live.sessions.acknowledgedSeq(sessionId)
    const acknowledgedSeq = Math.max(sleeper.acknowledgedSeq, inMemory)
    if (acknowledgedSeq >= seq) return false

    const markMs = hintedUntilMs - this.#clock()
    const wrongMs = claim === undefined ? WRONG_MS : WRONG_CLAIM_MS
    if (markMs > 0 && markMs < wrongMs && acknowledgedSeq < hintedSeq) {
      // The claiming node may have been killed, or have lost the database.
      if (claim !== undefined) this.#pending.recheck(username, seq, markMs)
      return false
    }

    const isOnlineHere = this.#live.presence.isSessionOnlineHere({ id: sessionId, username })
    if ((isOnlineHere || sleeper.isElsewhere) && acknowledgedSeq >= overdueSeq) {
      this.#pending.recheckOverdue(username, seq, this.#acknowledgeMs)
      return false
    }

    const waitMs = this.#rate?.take(accountId) ?? 0
    if (waitMs > 0) this.#pending.recheck(username, seq, waitMs)
    return waitMs === 0
  }

  #send(hint: ClaimedHint) {
    const sending = this.#sendAndMark(hint).catch((error: unknown) => {
      // The claim expires by itself.
      if (!(error instanceof DatabaseUnavailable)) this.#onFault(error)
    })
    this.#underWay.add(sending)
    void sending.finally(() => this.#underWay.delete(sending))
  }

  async #sendAndMark({ id, seq, ...target }: ClaimedHint): Promise<void> {
    const mark = { id, seq, claim: this.#claim }
    const renewClaim = async (forMs: number) =>
      this.#database.extendHint(mark, this.#clock() + forMs + this.#claimMs, this.#claim).catch(() => true)
    const result = await this.#sender.send({ id, ...target }, seq, renewClaim)
    if (result.kind === 'gone') await this.#database.forgetPushSubscription(id)
    else if (result.kind === 'sent') {
      const keptMs = Math.min(result.ttlS * 1_000, MARK_MS_MAX)
      await this.#database.extendHint(mark, this.#clock() + keptMs, undefined)
    } else await this.#database.dropHint(mark)
  }
}
