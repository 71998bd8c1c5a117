import { setTimeout as pause } from 'node:timers/promises'
import { ALIVE_MS, type SharedDatabase } from '../database/shared-database.ts'

const BEAT_MS = 2_000

/** A probe that takes longer is lost: notifications take milliseconds. */
const PROBE_TIMEOUT_MS = 5_000

export interface HeartbeatEvents {
  /**
   * Notifications are lost from now on. Repeated with every beat until they arrive again.
   *
   * @param state `databaseUp`: whether the database accepts probes all the same
   */
  onNotificationsLost: (state: { databaseUp: boolean }) => void
  /** Notifications arrive again. Resolves when everything that was missed has been read. */
  onNotificationsResumed: () => Promise<void>
  /** Probes do not come back: the connection that should bring them is dead. */
  onConnectionDead: () => void
}

/**
 * Records every few seconds that this node is alive, and sends itself a probe. Only a probe shows whether
 * notifications arrive: a connection may be dead, or the wrong one, without an error
 * (github.com/brianc/node-postgres/issues/1656).
 */
export class Heartbeat {
  readonly #database: Pick<SharedDatabase, 'beat'>
  readonly #events: HeartbeatEvents
  readonly #stopping = new AbortController()
  readonly #stopped: Promise<void>
  #subscribed = false
  /** Whether the last probe could be written. */
  #wrote = false
  /** How long this node counts as alive, on the monotonic clock. */
  #aliveUntilMs = Number.NEGATIVE_INFINITY
  readonly #underWay = new Set<Promise<void>>()
  #losses = 0
  /** The recovery under way: the number of losses when it began. */
  #recovering: number | undefined
  /** When the oldest probe that has not come back was sent, on the monotonic clock. */
  #probeSinceMs: number | undefined

  constructor(database: Pick<SharedDatabase, 'beat'>, events: HeartbeatEvents) {
    this.#database = database
    this.#events = events
    this.#stopped = this.#beatPeriodically()
  }

  /** Whether notifications of other nodes arrive here. */
  get subscribed(): boolean {
    return this.#subscribed
  }

  /** How long the other nodes count this one as alive, on the monotonic clock. */
  get aliveUntilMs(): number {
    return this.#aliveUntilMs
  }

  /** Records that this node is alive, and sends a probe, which comes back to {@link noteProbe}. */
  async beat(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const beat = this.#write()
    this.#underWay.add(beat)
    await beat
    this.#underWay.delete(beat)
  }

  async #write(): Promise<void> {
    const beganMs = performance.now()
    // Set before the write: a connection that hangs accepts it and never answers.
    this.#probeSinceMs ??= beganMs
    try {
      await this.#database.beat()
      this.#wrote = true
      this.#aliveUntilMs = Math.max(this.#aliveUntilMs, beganMs + ALIVE_MS)
    } catch {
      // Requests that need the database get the error; here it only means that no probe can come.
      this.#wrote = false
      this.#probeSinceMs = undefined
    }
  }

  async noteProbe(): Promise<void> {
    this.#probeSinceMs = undefined
    const losses = this.#losses
    if (this.#subscribed || this.#recovering === losses) return
    this.#recovering = losses
    try {
      await this.#events.onNotificationsResumed()
      this.#subscribed = losses === this.#losses
    } catch {
      // The database is unavailable again; the next probe begins anew.
    } finally {
      if (this.#recovering === losses) this.#recovering = undefined
    }
  }

  /** Notifications may have been lost: their connection has broken, for example. */
  markLost(): void {
    this.#subscribed = false
    this.#losses += 1
    this.#probeSinceMs = undefined
    this.#events.onNotificationsLost({ databaseUp: false })
  }

  /** Resolves when no further beat will be written. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#stopped, ...this.#underWay])
  }

  async #beatPeriodically(): Promise<void> {
    const { signal } = this.#stopping
    let beating = false
    while (!signal.aborted) {
      await pause(BEAT_MS, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      if (performance.now() - (this.#probeSinceMs ?? Number.POSITIVE_INFINITY) > PROBE_TIMEOUT_MS) {
        this.markLost()
        this.#events.onConnectionDead()
      } else if (!this.#subscribed) this.#events.onNotificationsLost({ databaseUp: this.#wrote })
      if (beating) continue
      // Not awaited: a beat that hangs must be noticed.
      beating = true
      void this.beat().finally(() => {
        beating = false
      })
    }
  }
}
