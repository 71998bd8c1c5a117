import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { randomFrom } from '../support/random.ts'
import type { Caller, Session } from './caller.ts'
import { type ClientRequest, type Exchange, isUnknown } from './history.ts'

/** The longest pause of a client between two sends, and before it repeats a failed one. */
const BETWEEN_SENDS_MS = 1_200
const BEFORE_REPEAT_MS = 400

/** Most polls wait for some seconds, some for the default time. */
const WAIT_SECONDS_MAX = 8
const LONG_WAIT_SECONDS = 40

/** Half of the accounts get few messages: with many, the next one makes up for a lost hint. */
const TO_QUIET = 0.02

/** How long a session is used before it ends in some way. */
const LIFE_MS_MIN = 3_000
const LIFE_MS_MAX = 45_000

/** How often, and for how long, a token that should be invalid is tried. */
const PROBES = 20
const BETWEEN_PROBES_MS = 2_000

type Random = () => number

/** A person who sends and receives, with everything that clients can do. */
export class Account {
  readonly name: string
  readonly #others: string[]
  readonly #caller: Caller
  readonly #seed: number
  /** Aborted when nothing new may begin. */
  readonly #settling = new AbortController()
  readonly #stopping = new AbortController()
  #session: Session | undefined
  #sent = 0
  /** Activities in the background. */
  readonly #loops = new Set<Promise<void>>()
  /** The number up to which it has received everything. */
  #receivedSeq = 0

  /** @param others the names it sends to; its own may be among them */
  constructor(name: string, others: string[], caller: Caller, seed: number) {
    this.name = name
    this.#others = others
    this.#caller = caller
    this.#seed = seed
  }

  get receivedSeq(): number {
    return this.#receivedSeq
  }

  /** Begins to read. Resolves after {@link settle}, when every send has its answer. */
  async run(): Promise<void> {
    void this.#keep(this.#logInAgainAndAgain())
    await this.#send()
  }

  /** Sends nothing new, and keeps the login that it has. */
  settle(): void {
    this.#settling.abort()
  }

  /** Reads no more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    while (this.#loops.size > 0) await Promise.all(this.#loops)
  }

  /** Random decisions of its own, which do not depend on the order of accounts. */
  #randomFor(what: string): Random {
    const hash = createHash('sha256').update(`${this.#seed} ${this.name} ${what}`).digest()
    return randomFrom(hash.readUInt32LE())
  }

  async #logInAgainAndAgain() {
    const random = this.#randomFor('life')
    for (let takenOver: Session | undefined; ; ) {
      const session = await this.#logIn(random)
      if (!session) return
      if (takenOver) void this.#keep(this.#probe(takenOver))
      const thrownOut = this.#startReaders(session)
      await Promise.race([thrownOut, this.#live(LIFE_MS_MIN + random() * (LIFE_MS_MAX - LIFE_MS_MIN))])
      // Without a logout the next login takes over; either way this device continues until it gets 401.
      takenOver = random() < 0.4 ? undefined : session
      if (!takenOver && !this.#settling.signal.aborted) await this.#logOut(session, random)
    }
  }

  /** A login that is refused because the account is online takes over after a few attempts. */
  async #logIn(random: Random): Promise<Session | undefined> {
    for (let tries = 0; !this.#stopping.signal.aborted; tries++) {
      const takeover = random() < 0.4 || tries > 3
      const session = await this.#caller.login(this.name, takeover, random())
      if (session) {
        this.#session = session
        return session
      }
      await pause(random() * 2 * BEFORE_REPEAT_MS)
    }
    return undefined
  }

  async #logOut(session: Session, random: Random) {
    this.#session = undefined
    while (!this.#stopping.signal.aborted) {
      const { outcome } = await this.#caller.call(this.name, session, { kind: 'logout' }, random())
      if (outcome.status === 204 || outcome.status === 401) break
      await pause(random() * BEFORE_REPEAT_MS)
    }
    void this.#keep(this.#probe(session))
  }

  /** Tries the token of an ended session on all nodes. */
  async #probe(session: Session) {
    const random = this.#randomFor(`probes of ${session.name}`)
    for (let probes = 0; probes < PROBES && !this.#stopping.signal.aborted; probes++) {
      await this.#caller.call(
        this.name,
        session,
        this.#trial(session, random),
        random(),
        this.#stopping.signal,
      )
      await pause(random() * BETWEEN_PROBES_MS)
    }
  }

  /** A request that reads the store, or one of two that a node can answer from its memory. */
  #trial({ cursor }: Session, random: Random): ClientRequest {
    const kind = random()
    if (kind < 0.4) return { kind: 'poll', after: undefined, waitMs: 0 }
    if (kind < 0.7) return { kind: 'poll', after: this.#receivedSeq, waitMs: 1_000 }
    return { kind: 'acknowledge', cursor }
  }

  /** Resolves when all nodes have refused it. */
  #startReaders(session: Session): Promise<unknown> {
    const random = this.#randomFor(`readers of ${session.name}`)
    this.#receivedSeq = Math.max(this.#receivedSeq, session.cursor)
    const readers = Array.from({ length: random() < 0.3 ? 2 : 1 }, (_, at) =>
      this.#keep(this.#read(session, this.#randomFor(`reader ${at} of ${session.name}`))),
    )
    return Promise.all(readers)
  }

  #keep(loop: Promise<void>): Promise<void> {
    const kept = loop.finally(() => this.#loops.delete(kept))
    this.#loops.add(kept)
    return kept
  }

  /** Repeats this until the token is refused. */
  async #read(session: Session, random: Random) {
    const { signal } = this.#stopping
    for (let cursor = session.cursor; !signal.aborted; ) {
      if (random() < 0.15) {
        const request = { kind: 'acknowledge', cursor } as const
        const { outcome } = await this.#caller.call(this.name, session, request, random(), signal)
        if (outcome.status === 401) return
      }
      const seconds = random() < 0.15 ? LONG_WAIT_SECONDS : Math.floor(random() * (WAIT_SECONDS_MAX + 1))
      const after = random() < 0.15 ? undefined : cursor
      const request = { kind: 'poll', after, waitMs: seconds * 1_000 } as const
      const { outcome } = await this.#caller.call(this.name, session, request, random(), signal)
      if (outcome.status === 401) return
      if (outcome.page) {
        cursor = outcome.page.cursor
        this.#receivedSeq = Math.max(this.#receivedSeq, cursor)
      } else await pause(random() * BEFORE_REPEAT_MS)
    }
  }

  async #send() {
    const random = this.#randomFor('sender')
    while (!this.#settling.signal.aborted) {
      await this.#unlessSettling(random() * BETWEEN_SENDS_MS)
      const burst = random() < 0.03 ? 10 : 1
      await Promise.all(Array.from({ length: burst }, () => this.#sendOne(random)))
    }
  }

  async #sendOne(random: Random) {
    const to = this.#recipient(random)
    const body = `${this.name}-${++this.#sent}`
    const mine = this.#randomFor(`message ${this.#sent}`)
    const receipt = mine() < 0.3
    if (mine() < 0.1) {
      // The outcome of a send without a key is unknown, so it is not repeated.
      await this.#attempt({ kind: 'send', to, body, key: undefined, receipt }, mine)
      return
    }
    const request = { kind: 'send', to, body, key: body, receipt } as const
    const untilAccepted = async () => {
      while (isWorthARepeat(await this.#attempt(request, mine))) await pause(mine() * BEFORE_REPEAT_MS)
    }
    const twice = mine() < 0.1
    await Promise.all([untilAccepted(), ...(twice ? [untilAccepted()] : [])])
    // The answer may have been lost on the client's side.
    if (mine() < 0.05) await untilAccepted()
  }

  #recipient(random: Random): string {
    const half = Math.floor(this.#others.length / 2)
    const from = random() < TO_QUIET ? half : 0
    return this.#others[from + Math.floor(random() * half)] as string
  }

  /**
   * Uses the current session. The key belongs to the account, so the next attempt may use another session.
   */
  async #attempt(request: ClientRequest, random: Random): Promise<Exchange> {
    while (!this.#session) await pause(BEFORE_REPEAT_MS)
    return this.#caller.call(this.name, this.#session, request, random())
  }

  /** Waits this long, or until it settles. */
  async #live(ms: number) {
    await this.#unlessSettling(ms)
    const { signal } = this.#stopping
    if (this.#settling.signal.aborted && !signal.aborted) await once(signal, 'abort')
  }

  async #unlessSettling(ms: number) {
    await pause(ms, undefined, { signal: this.#settling.signal }).catch(() => {})
  }
}

/** The database is unavailable, the outcome is unknown, or the session has ended. */
const isWorthARepeat = (exchange: Exchange) => isUnknown(exchange) || exchange.outcome.status === 401
