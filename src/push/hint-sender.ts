import { setTimeout as pause } from 'node:timers/promises'
import { attempt } from './attempt.ts'
import { checkEndpoint, EndpointRefused } from './endpoint.ts'
import { type Hint, newHint, type PushResult, type PushTarget, type RenewClaim } from './hint.ts'
import { HttpsClient, type HttpsClientSettings } from './https-client.ts'
import { Outcomes } from './outcomes.ts'
import { RoundRobin, type Slot } from './round-robin.ts'
import { ServiceQueue } from './service-queue.ts'
import { SubscriptionHealth } from './subscription-health.ts'
import type { Vapid } from './vapid.ts'
import { type PushLog, Warnings } from './warnings.ts'

/** Limits of hints in memory, in all and per service, about 2 kB each. */
const HINTS_MAX = 10_000
const HINTS_PER_SERVICE_MAX = 2_000

/** How many services are remembered. */
const SERVICES_MAX = 1_000

/** Longer than an attempt takes. The claim of a younger hint needs no renewal. */
const ATTEMPT_MS = 15_000
/** How long `close` waits for requests under way. */
const CLOSE_MS = 1_000

const TIMES = {
  connectMs: 3_000,
  totalMs: 10_000,
  backOffMs: 2_000,
  /** Older hints are dropped: the message was probably read on another device. */
  lifeMs: 3_600_000,
  /** How long the circuit of a service stays open: at first, and when it refuses this server. */
  openMs: 15_000,
  refusedMs: 600_000,
}

export type HintSenderTimes = Partial<typeof TIMES>

export interface HintSenderSettings extends Pick<HttpsClientSettings, 'allowPrivate' | 'resolve' | 'ca'> {
  vapid: Vapid
  log: PushLog
  /** For tests: shorter times. */
  times?: HintSenderTimes
}

/**
 * Sends hints concurrently and fairly. Services take turns, each with few concurrent requests, so one that
 * does not answer delays only its own hints. A circuit breaker per service spares one that is down: its hints
 * wait, for an hour at most.
 */
export class HintSender {
  /** Hints by how they ended, for the metrics. */
  readonly results = { sent: 0, gone: 0, failed: 0, refused: 0, dropped: 0 }
  readonly #vapid: Vapid
  readonly #allowPrivate: boolean
  readonly #times: typeof TIMES
  readonly #https: HttpsClient
  readonly #warnings: Warnings
  readonly #health = new SubscriptionHealth()
  readonly #outcomes: Outcomes
  readonly #roundRobin = new RoundRobin()
  /** By origin, the least recently used first. */
  readonly #services = new Map<string, ServiceQueue>()
  /** By target, each with at most one hint. */
  readonly #hints = new Map<string, Hint>()
  readonly #underWay = new Set<Promise<void>>()
  /** Fires when the next circuit closes. */
  #circuitTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ vapid, log, times, allowPrivate, ...client }: HintSenderSettings) {
    this.#vapid = vapid
    this.#allowPrivate = allowPrivate
    this.#times = { ...TIMES, ...times }
    this.#https = new HttpsClient({ ...client, ...this.#times, allowPrivate })
    this.#warnings = new Warnings(log)
    this.#outcomes = new Outcomes(vapid, this.#health, this.#warnings, this.#times)
  }

  /**
   * Sends a hint. Resolves when it is sent, given up or dropped, which may take an hour; never rejects. If a
   * hint for the target is waiting, it is updated and sent once. If one is under way, another follows,
   * because the receiver may already have read.
   *
   * @param newestSeq of the inbox
   * @param renewClaim without it, the hint is due until it is given up
   */
  send(target: PushTarget, newestSeq: number, renewClaim?: RenewClaim): Promise<PushResult> {
    const waiting = this.#hints.get(target.id)
    if (waiting) {
      const key = this.#vapid.byId(target.keyId) ?? waiting.key
      Object.assign(waiting, { target, key, newestSeq, renewClaim, isRequestedAgain: waiting.isUnderWay })
      return waiting.result
    }
    const accepted = this.#accept(target)
    if (typeof accepted === 'string') {
      this.results[accepted] += 1
      return Promise.resolve({ kind: accepted === 'dropped' ? 'failed' : accepted })
    }
    const hint = newHint({ target, newestSeq, renewClaim, ...accepted })
    this.#hints.set(target.id, hint)
    hint.service.held += 1
    const waitMs = this.#health.notBeforeMs(target.id) - hint.createdMs
    if (waitMs > 0) this.#enqueueIn(waitMs, hint)
    else this.#enqueue(hint)
    return hint.result
  }

  /** Ends requests under way, after a short wait. Unsent hints are `failed`. */
  async close(): Promise<void> {
    this.#closed = true
    for (const hint of [...this.#hints.values()]) if (!hint.isUnderWay) this.#finish(hint, { kind: 'failed' })
    const done = new AbortController()
    const ended = Promise.all(this.#underWay).finally(() => done.abort())
    await pause(CLOSE_MS, undefined, { signal: done.signal }).catch(() => undefined)
    this.#https.close()
    await ended
  }

  /** @returns a result if there is nothing to send */
  #accept({ id, endpoint, keyId }: PushTarget) {
    if (this.#closed) return 'failed'
    const key = this.#vapid.byId(keyId)
    if (!key) {
      this.#warnings.warn(
        `key ${keyId}`,
        `push: the key ${keyId} is missing from VAPID_KEYS, so its subscriptions get no hints`,
      )
      return 'refused'
    }
    const url = this.#allowedUrl(endpoint)
    const nowMs = performance.now()
    if (!url || this.#health.notBeforeMs(id) > nowMs + this.#times.lifeMs) return 'failed'
    const service = this.#serviceAt(url.origin)
    if (service.isRefusing(nowMs)) return 'refused'
    if (this.#hints.size >= HINTS_MAX || service.held >= HINTS_PER_SERVICE_MAX) return 'dropped'
    return { key, url, service }
  }

  /** @returns undefined for an endpoint that was registered while `PUSH_ALLOW_PRIVATE` was on */
  #allowedUrl(endpoint: string): URL | undefined {
    try {
      return checkEndpoint(endpoint, this.#allowPrivate)
    } catch (error) {
      if (error instanceof EndpointRefused) return undefined
      throw error
    }
  }

  #serviceAt(origin: string): ServiceQueue {
    const { openMs, refusedMs } = this.#times
    const service = this.#services.get(origin) ?? new ServiceQueue(origin, openMs, refusedMs)
    this.#services.delete(origin)
    if (this.#services.size >= SERVICES_MAX) {
      const unused = [...this.#services.values()].find(({ held }) => held === 0)
      if (unused) this.#services.delete(unused.origin)
    }
    this.#services.set(origin, service)
    return service
  }

  #enqueueIn(waitMs: number, hint: Hint) {
    hint.timer = setTimeout(() => this.#enqueue(hint), waitMs).unref()
  }

  #enqueue(hint: Hint) {
    hint.timer = undefined
    if (hint.service.isRefusing(performance.now())) return this.#finish(hint, { kind: 'refused' })
    this.#roundRobin.add(hint)
    this.#startAll()
  }

  /** Starts all hints that may be sent, and again when a circuit with waiting hints closes. */
  #startAll() {
    for (
      let slot = this.#roundRobin.next(performance.now());
      slot;
      slot = this.#roundRobin.next(performance.now())
    ) {
      const done: Promise<void> = this.#process(slot).finally(() => {
        this.#underWay.delete(done)
        this.#startAll()
      })
      this.#underWay.add(done)
    }
    clearTimeout(this.#circuitTimer)
    const waitMs = this.#roundRobin.circuitClosesInMs(performance.now())
    // A timer may fire a fraction of a millisecond early.
    if (waitMs !== undefined)
      this.#circuitTimer = setTimeout(() => this.#startAll(), Math.ceil(waitMs) + 1).unref()
  }

  async #process({ hint, release }: Slot) {
    const { service } = hint
    hint.isUnderWay = true
    try {
      if (!(await this.#isStillDue(hint))) return this.#finish(hint, { kind: 'failed' })
      hint.attempts += 1
      hint.isRequestedAgain = false
      const startedMs = performance.now()
      const outcome = await attempt(this.#https, this.#vapid, hint)
      service.noteDuration(performance.now() - startedMs)
      const result = this.#outcomes.apply(hint, outcome)
      if (result.kind === 'sent' && hint.isRequestedAgain) this.#sendOnceMore(hint)
      else if (result.kind === 'retry' && !this.#closed) this.#enqueueIn(result.waitMs, hint)
      else this.#finish(hint, result.kind === 'retry' ? { kind: 'failed' } : result)
    } finally {
      hint.isUnderWay = false
      release()
    }
    if (service.isRefusing(performance.now()))
      for (const waiting of this.#roundRobin.drop(service)) this.#finish(waiting, { kind: 'refused' })
  }

  #sendOnceMore(hint: Hint) {
    if (this.#closed) return this.#finish(hint, { kind: 'failed' })
    this.results.sent += 1
    Object.assign(hint, { createdMs: performance.now(), attempts: 0 })
    this.#roundRobin.add(hint)
  }

  /** Whether a hint is not stale. For a delayed one, its claim decides. */
  async #isStillDue(hint: Hint): Promise<boolean> {
    const ageMs = performance.now() - hint.createdMs
    if (ageMs > this.#times.lifeMs) return false
    if (hint.attempts === 0 && ageMs < ATTEMPT_MS) return true
    try {
      return (await hint.renewClaim?.(ATTEMPT_MS)) ?? true
    } catch {
      // The database is unavailable. The next message tries again.
      return false
    }
  }

  #finish(hint: Hint, result: PushResult) {
    const { service, target } = hint
    clearTimeout(hint.timer)
    if (!hint.isUnderWay) this.#roundRobin.drop(service, hint)
    service.held -= 1
    this.#hints.delete(target.id)
    this.results[result.kind] += 1
    hint.resolve(result)
  }
}
