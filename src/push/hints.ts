/**
 * Who is woken, and when. A message that was committed is noted here by the name of its recipient, and
 * nothing else happens on the path of a send. Off that path one statement tells for all who have gathered
 * which of their sessions have a push subscription, and a second one claims those that are due.
 *
 *   due      The session has not acknowledged the message, has no mark, and is not online. One that is online
 *            is looked at again when it had time to acknowledge: a frozen phone keeps its connection, and one
 *            without network counts as online for a while.
 *   mark     Stands in the database with the subscription, so it outlives a restart and holds at every node.
 *            It is void when its time has passed, when the session has acknowledged what was hinted, and when
 *            the session has read: then it is taken back before the page is read, so that a message is either
 *            on the page or hinted.
 *   claim    A mark for a short time. Of several nodes the one sends that has set it. When the hint was sent,
 *            it lasts as long as the push service keeps the hint; else it is taken back. When a node was
 *            killed, another one that has found its claim looks again after that time.
 *
 * Nothing is looked for at the start. A hint is only a hint: one that is lost delays a message, until another
 * one comes or the client asks by itself.
 */
import { randomBytes } from 'node:crypto'
import type { Sessions } from '../accounts/sessions.ts'
import { type Clock, monotonicMs } from '../clock.ts'
import { type ClaimedHint, type Database, DatabaseUnavailable, type Sleeper } from '../database/database.ts'
import { TokenBuckets } from '../limits/token-buckets.ts'
import type { Presence } from '../presence.ts'
import { Gathered, type Wanted } from './gathered.ts'
import type { Services } from './services.ts'

/** Names that one statement looks for: a few ms of work. */
const NAMES_MAX = 500

/** Between two looks, so that what comes in one after the other shares one; a hint may be so much later. */
const PAUSE_MS = 40

/** When the database cannot be asked. */
const PAUSE_AFTER_FAILURE_MS = 1_000

/** How long a session that is online has to acknowledge a message. */
const ACKNOWLEDGE_MS = 15_000

/** How long a claim holds, from the last time that it was kept. */
const LEASE_MS = 30_000

/** No push service is asked to keep a hint for longer. A mark that holds for longer is from a wrong clock. */
const MARK_MS_MAX = 24 * 3_600_000
const WRONG_MS = MARK_MS_MAX + 3_600_000

/** The same of a claim, which holds for less than a minute. */
const WRONG_CLAIM_MS = 300_000

/** Hints of one account: each has the server send to a host of its client's choice. */
const HINTS_OF_ACCOUNT = { burst: 100, everyMs: 5_000 }

type HintsDatabase = Pick<
  Database,
  'findSleepers' | 'claimHints' | 'extendHint' | 'dropHint' | 'takeHintsBack' | 'forgetPushSubscription'
>

/** What this process knows of sessions and the store does not. */
export interface LiveSessions {
  presence: Pick<Presence, 'isPresent'>
  sessions: Pick<Sessions, 'acknowledgedSeq'>
}

export interface HintsSettings {
  onFault: (error: unknown) => void
  rateLimits: boolean
  /** For tests, which cannot wait for the times of production. */
  times?: HintsTimes | undefined
}

export interface HintsTimes {
  acknowledgeMs?: number
  leaseMs?: number
}

export class Hints {
  readonly #database: HintsDatabase
  readonly #services: Services
  readonly #live: LiveSessions
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #rate: TokenBuckets | undefined
  readonly #acknowledgeMs: number
  readonly #leaseMs: number
  /** Of this process, and of no other one before or beside it. */
  readonly #claim = randomBytes(9).toString('base64url')
  readonly #gathered: Gathered
  readonly #underWay = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #nextLookMs = Number.NEGATIVE_INFINITY
  #closing = false

  constructor(
    database: HintsDatabase,
    services: Services,
    live: LiveSessions,
    clock: Clock,
    { onFault, rateLimits, times }: HintsSettings,
  ) {
    this.#database = database
    this.#services = services
    this.#live = live
    this.#clock = clock
    this.#onFault = onFault
    this.#rate = rateLimits ? new TokenBuckets(HINTS_OF_ACCOUNT) : undefined
    this.#acknowledgeMs = times?.acknowledgeMs ?? ACKNOWLEDGE_MS
    this.#leaseMs = times?.leaseMs ?? LEASE_MS
    this.#gathered = new Gathered(this.#acknowledgeMs / 15, () => this.#lookSoon())
  }

  /** A message was committed. On the path of every send, so it does little. */
  added(username: string, seq: number): void {
    this.#gathered.add(username, seq)
    this.#lookSoon()
  }

  /** A session reads: from now on a message for it is hinted again. */
  async takeBack(sessionId: string): Promise<void> {
    await this.#database.takeHintsBack(sessionId, this.#clock()).catch((error: unknown) => {
      // Its messages are read all the same. The mark ends when they are acknowledged.
      if (!(error instanceof DatabaseUnavailable)) throw error
    })
  }

  /** Sends what is due now, gives what is under way a short time, and then ends. */
  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#timer)
    await this.#looking
    await this.#look()
    await this.#services.close()
    await Promise.all(this.#underWay)
  }

  #lookSoon() {
    if (this.#timer || this.#looking || this.#closing) return
    const waitMs = Math.max(this.#nextLookMs - monotonicMs(), 0)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#looking = this.#look().then(() => {
        this.#looking = undefined
        if (!this.#gathered.isEmpty) this.#lookSoon()
      })
    }, waitMs).unref()
  }

  async #look(): Promise<void> {
    const wanted = this.#gathered.take(NAMES_MAX)
    let pauseMs = wanted.size < NAMES_MAX ? PAUSE_MS : 0
    try {
      if (wanted.size > 0) await this.#hint(wanted)
    } catch (error) {
      if (error instanceof DatabaseUnavailable)
        for (const [username, each] of wanted) this.#gathered.putBack(username, each)
      else this.#onFault(error)
      pauseMs = PAUSE_AFTER_FAILURE_MS
    }
    this.#nextLookMs = monotonicMs() + pauseMs
  }

  async #hint(wanted: Map<string, Wanted>): Promise<void> {
    const sleepers = await this.#database.findSleepers([...wanted.keys()])
    const due = sleepers.filter((sleeper) => this.#isDue(sleeper, wanted.get(sleeper.username) as Wanted))
    if (due.length === 0) return
    const hints = due.map(({ id, username, newestSeq, hintedUntilMs: foundUntilMs }) => {
      const { seq } = wanted.get(username) as Wanted
      return { id, seq: Math.max(newestSeq, seq), foundUntilMs }
    })
    const claimed = await this.#database.claimHints(hints, this.#claim, this.#clock() + this.#leaseMs)
    for (const hint of claimed) this.#send(hint)
    // Another node was faster, or the session has read meanwhile: the next look tells.
    const ids = new Set(claimed.map(({ id }) => id))
    for (const { id, username } of due)
      if (!ids.has(id)) this.#gathered.putBack(username, wanted.get(username) as Wanted)
  }

  /** Whether a session is to be woken now. Where that may come, it is looked at again. */
  #isDue(sleeper: Sleeper, { seq, lateSeq }: Wanted): boolean {
    const { accountId, username, sessionId, hintedSeq = 0, hintedUntilMs = 0, claim } = sleeper
    const here = this.#live.sessions.acknowledgedSeq(sessionId)
    const acknowledgedSeq = Math.max(sleeper.acknowledgedSeq, here)
    if (acknowledgedSeq >= seq) return false

    const markMs = hintedUntilMs - this.#clock()
    const wrongMs = claim === undefined ? WRONG_MS : WRONG_CLAIM_MS
    if (markMs > 0 && markMs < wrongMs && acknowledgedSeq < hintedSeq) {
      // The node whose claim it is may have been killed, and this one cut off from its database.
      if (claim !== undefined) this.#gathered.plan(username, seq, markMs)
      return false
    }

    const isPresent = sleeper.isElsewhere || this.#live.presence.isPresent({ id: sessionId, username })
    if (isPresent && acknowledgedSeq >= lateSeq) {
      this.#gathered.planLate(username, seq, this.#acknowledgeMs)
      return false
    }

    const waitMs = this.#rate?.take(accountId) ?? 0
    if (waitMs > 0) this.#gathered.plan(username, seq, waitMs)
    return waitMs === 0
  }

  #send(hint: ClaimedHint) {
    const sending = this.#sendAndMark(hint).catch((error: unknown) => {
      // Then the claim runs out by itself.
      if (!(error instanceof DatabaseUnavailable)) this.#onFault(error)
    })
    this.#underWay.add(sending)
    void sending.finally(() => this.#underWay.delete(sending))
  }

  async #sendAndMark({ id, seq, ...target }: ClaimedHint): Promise<void> {
    const mark = { id, seq, claim: this.#claim }
    const keep = async (forMs: number) =>
      this.#database.extendHint(mark, this.#clock() + forMs + this.#leaseMs, this.#claim).catch(() => true)
    const result = await this.#services.send({ id, ...target }, seq, keep)
    if (result.kind === 'gone') await this.#database.forgetPushSubscription(id)
    else if (result.kind === 'sent') {
      const keptMs = Math.min(result.ttlS * 1_000, MARK_MS_MAX)
      await this.#database.extendHint(mark, this.#clock() + keptMs, undefined)
    } else await this.#database.dropHint(mark)
  }
}
