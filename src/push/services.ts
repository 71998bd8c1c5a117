import { setTimeout as pause } from 'node:timers/promises'
import { attempt } from './answers.ts'
import { checkEndpoint, EndpointRefused } from './endpoint.ts'
import { type Hint, type KeepHint, newHint, type PushResult, type PushTarget } from './hint.ts'
import { Notices, type PushLog } from './notices.ts'
import { Outcomes } from './outcomes.ts'
import { WayOut, type WayOutSettings } from './request.ts'
import { Service } from './service.ts'
import { Standings } from './standings.ts'
import { type Turn, Turns } from './turns.ts'
import type { Vapid } from './vapid.ts'

/** Hints in memory, in all and per service, at some 2 kB each. */
const HINTS_MAX = 10_000
const HINTS_PER_SERVICE_MAX = 2_000

/** Services that are remembered. */
const SERVICES_MAX = 1_000

/** Longer than a try takes. A younger hint need not be asked about. */
const TRY_MS = 15_000
/** What is under way at the end may take so long. */
const CLOSE_MS = 1_000

const TIMES = {
  connectMs: 3_000,
  totalMs: 10_000,
  backOffMs: 2_000,
  /** An older hint is not sent: its message was probably read elsewhere. */
  lifeMs: 3_600_000,
  /** How long the circuit of a service stays open, at first, and where it refuses this server. */
  openMs: 15_000,
  refusedMs: 600_000,
}

export type ServicesTimes = Partial<typeof TIMES>

export interface ServicesSettings extends Pick<WayOutSettings, 'allowPrivate' | 'resolve' | 'ca'> {
  vapid: Vapid
  log: PushLog
  /** For tests, which cannot wait for the times of production. */
  times?: ServicesTimes
}

/**
 * Sends hints, side by side and fairly. The services take turns, each with few requests at once, so that one
 * that does not answer delays only its own. A circuit per service spares one that is down: what is sent to it
 * meanwhile waits, for an hour at most.
 */
export class Services {
  /** How many hints have ended how, for the metrics. */
  readonly results = { sent: 0, gone: 0, failed: 0, refused: 0, dropped: 0 }
  readonly #vapid: Vapid
  readonly #allowPrivate: boolean
  readonly #times: typeof TIMES
  readonly #wayOut: WayOut
  readonly #notices: Notices
  readonly #standings = new Standings()
  readonly #outcomes: Outcomes
  readonly #turns = new Turns()
  /** By origin, the longest unused first. */
  readonly #services = new Map<string, Service>()
  /** By target: each has one hint at most. */
  readonly #hints = new Map<string, Hint>()
  readonly #underWay = new Set<Promise<void>>()
  /** For the first circuit that closes. */
  #circuitTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ vapid, log, times, allowPrivate, ...way }: ServicesSettings) {
    this.#vapid = vapid
    this.#allowPrivate = allowPrivate
    this.#times = { ...TIMES, ...times }
    this.#wayOut = new WayOut({ ...way, ...this.#times, allowPrivate })
    this.#notices = new Notices(log)
    this.#outcomes = new Outcomes(vapid, this.#standings, this.#notices, this.#times)
  }

  /**
   * Resolves when the hint is sent, given up, or dropped for want of room; never rejects. That may take an
   * hour. One that waits already for the same target goes out once, with what was given last. One that is
   * under way is followed by another one: its receiver may have read before it asks again.
   *
   * @param newest the number of the newest message
   * @param keep without it a hint is due until it is given up
   */
  send(target: PushTarget, newest: number, keep?: KeepHint): Promise<PushResult> {
    const waiting = this.#hints.get(target.id)
    if (waiting) {
      const key = this.#vapid.byId(target.keyId) ?? waiting.key
      Object.assign(waiting, { target, key, newest, keep, isAskedAgain: waiting.isUnderWay })
      return waiting.result
    }
    const accepted = this.#accept(target)
    if (typeof accepted === 'string') {
      this.results[accepted] += 1
      return Promise.resolve({ kind: accepted === 'dropped' ? 'failed' : accepted })
    }
    const hint = newHint({ target, newest, keep, ...accepted })
    this.#hints.set(target.id, hint)
    hint.service.held += 1
    const waitMs = this.#standings.notBeforeMs(target.id) - hint.bornMs
    if (waitMs > 0) this.#makeReadyIn(waitMs, hint)
    else this.#makeReady(hint)
    return hint.result
  }

  /** Ends what is under way; what was not sent is `failed`. */
  async close(): Promise<void> {
    this.#closed = true
    for (const hint of [...this.#hints.values()]) if (!hint.isUnderWay) this.#finish(hint, { kind: 'failed' })
    const done = new AbortController()
    const ended = Promise.all(this.#underWay).finally(() => done.abort())
    await pause(CLOSE_MS, undefined, { signal: done.signal }).catch(() => undefined)
    this.#wayOut.close()
    await ended
  }

  /** @returns the result where nothing is to be sent */
  #accept({ id, endpoint, keyId }: PushTarget) {
    if (this.#closed) return 'failed'
    const key = this.#vapid.byId(keyId)
    if (!key) {
      this.#notices.warn(
        `key ${keyId}`,
        `push: the key ${keyId} is gone from VAPID_KEYS: subscriptions that were made with it get no hints.`,
      )
      return 'refused'
    }
    const url = this.#allowed(endpoint)
    const nowMs = performance.now()
    if (!url || this.#standings.notBeforeMs(id) > nowMs + this.#times.lifeMs) return 'failed'
    const service = this.#serviceAt(url.origin)
    if (service.isRefusing(nowMs)) return 'refused'
    if (this.#hints.size >= HINTS_MAX || service.held >= HINTS_PER_SERVICE_MAX) return 'dropped'
    return { key, url, service }
  }

  /** @returns undefined when it was registered while `PUSH_ALLOW_PRIVATE` was on */
  #allowed(endpoint: string): URL | undefined {
    try {
      return checkEndpoint(endpoint, this.#allowPrivate)
    } catch (error) {
      if (error instanceof EndpointRefused) return undefined
      throw error
    }
  }

  #serviceAt(origin: string): Service {
    const { openMs, refusedMs } = this.#times
    const service = this.#services.get(origin) ?? new Service(origin, openMs, refusedMs)
    this.#services.delete(origin)
    if (this.#services.size >= SERVICES_MAX) {
      const unused = [...this.#services.values()].find(({ held }) => held === 0)
      if (unused) this.#services.delete(unused.origin)
    }
    this.#services.set(origin, service)
    return service
  }

  #makeReadyIn(waitMs: number, hint: Hint) {
    hint.timer = setTimeout(() => this.#makeReady(hint), waitMs).unref()
  }

  #makeReady(hint: Hint) {
    hint.timer = undefined
    if (hint.service.isRefusing(performance.now())) return this.#finish(hint, { kind: 'refused' })
    this.#turns.add(hint)
    this.#startAll()
  }

  /** Starts what may go, and comes back when a circuit closes that something waits for. */
  #startAll() {
    for (let turn = this.#turns.next(performance.now()); turn; turn = this.#turns.next(performance.now())) {
      const done: Promise<void> = this.#take(turn).finally(() => {
        this.#underWay.delete(done)
        this.#startAll()
      })
      this.#underWay.add(done)
    }
    clearTimeout(this.#circuitTimer)
    const waitMs = this.#turns.closesInMs(performance.now())
    // A timer may be early by a part of a millisecond.
    if (waitMs !== undefined)
      this.#circuitTimer = setTimeout(() => this.#startAll(), Math.ceil(waitMs) + 1).unref()
  }

  async #take({ hint, end }: Turn) {
    const { service } = hint
    hint.isUnderWay = true
    try {
      if (!(await this.#isDue(hint))) return this.#finish(hint, { kind: 'failed' })
      hint.tries += 1
      hint.isAskedAgain = false
      const startedMs = performance.now()
      const outcome = await attempt(this.#wayOut, this.#vapid, hint)
      service.noteTook(performance.now() - startedMs)
      const result = this.#outcomes.act(hint, outcome)
      if (result.kind === 'sent' && hint.isAskedAgain) this.#sendOnceMore(hint)
      else if (result.kind === 'again' && !this.#closed) this.#makeReadyIn(result.waitMs, hint)
      else this.#finish(hint, result.kind === 'again' ? { kind: 'failed' } : result)
    } finally {
      hint.isUnderWay = false
      end()
    }
    if (service.isRefusing(performance.now()))
      for (const waiting of this.#turns.drop(service)) this.#finish(waiting, { kind: 'refused' })
  }

  #sendOnceMore(hint: Hint) {
    if (this.#closed) return this.#finish(hint, { kind: 'failed' })
    this.results.sent += 1
    Object.assign(hint, { bornMs: performance.now(), tries: 0 })
    this.#turns.add(hint)
  }

  /** Whether a hint is not stale; of one that has waited, `keep` knows. */
  async #isDue(hint: Hint): Promise<boolean> {
    const ageMs = performance.now() - hint.bornMs
    if (ageMs > this.#times.lifeMs) return false
    if (hint.tries === 0 && ageMs < TRY_MS) return true
    try {
      return (await hint.keep?.(TRY_MS)) ?? true
    } catch {
      // The database is unavailable. Another message will tell.
      return false
    }
  }

  #finish(hint: Hint, result: PushResult) {
    const { service, target } = hint
    clearTimeout(hint.timer)
    if (!hint.isUnderWay) this.#turns.drop(service, hint)
    service.held -= 1
    this.#hints.delete(target.id)
    this.results[result.kind] += 1
    hint.resolve(result)
  }
}
