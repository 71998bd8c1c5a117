import { setTimeout as pause } from 'node:timers/promises'
import { ALIVE_MS, type SharedDatabase } from '../database/shared-database.ts'

const BEAT_MS = 2_000

/** A probe that has not come back by then never will: notifications take milliseconds. */
const PATIENCE_MS = 5_000

export interface HeartbeatEvents {
  /**
   * What the others say is lost from now on; repeated with every beat until it is heard again.
   *
   * @param puzzling whether the database takes probes all the same
   */
  onDeaf: (puzzling: boolean) => void
  /** It is heard again. When this has settled, what was lost is made up for. */
  onHearing: () => Promise<void>
  /** Probes do not come back: the connection that should bring them is no good. */
  onSilence: () => void
}

/**
 * Says every few seconds that this node is alive, and waits to hear it. Nothing else tells whether the words
 * of other nodes arrive: a connection may be dead, or be the wrong one, without an error
 * (github.com/brianc/node-postgres/issues/1656).
 */
export class Heartbeat {
  readonly #database: Pick<SharedDatabase, 'beat'>
  readonly #events: HeartbeatEvents
  readonly #stopping = new AbortController()
  readonly #stopped: Promise<void>
  #hears = false
  /** Whether the last probe could be written. */
  #wrote = false
  /** Until when this node counts as alive, on the monotonic clock. */
  #aliveUntilMs = Number.NEGATIVE_INFINITY
  readonly #underWay = new Set<Promise<void>>()
  #losses = 0
  /** What is being made up for: as many losses as there had been when it began. */
  #recovering: number | undefined
  /** When the first of the probes was begun that did not come back yet, on the monotonic clock. */
  #unheardSinceMs: number | undefined

  constructor(database: Pick<SharedDatabase, 'beat'>, events: HeartbeatEvents) {
    this.#database = database
    this.#events = events
    this.#stopped = this.#beatOnAndOn()
  }

  /** Whether what the other nodes say arrives here. */
  get hears(): boolean {
    return this.#hears
  }

  /** Until when the other nodes take this one for alive, on the monotonic clock. */
  get aliveUntilMs(): number {
    return this.#aliveUntilMs
  }

  /** Says that this node is alive. The answer comes back as a probe, where it is {@link heard}. */
  async beat(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    const beat = this.#write()
    this.#underWay.add(beat)
    await beat
    this.#underWay.delete(beat)
  }

  async #write(): Promise<void> {
    const beganMs = performance.now()
    // Before it is written: a connection that hangs takes it, and says nothing.
    this.#unheardSinceMs ??= beganMs
    try {
      await this.#database.beat()
      this.#wrote = true
      this.#aliveUntilMs = Math.max(this.#aliveUntilMs, beganMs + ALIVE_MS)
    } catch {
      // Whoever needs the database is told so; here it means that there is nothing to hear.
      this.#wrote = false
      this.#unheardSinceMs = undefined
    }
  }

  async heard(): Promise<void> {
    this.#unheardSinceMs = undefined
    const losses = this.#losses
    if (this.#hears || this.#recovering === losses) return
    this.#recovering = losses
    try {
      await this.#events.onHearing()
      this.#hears = losses === this.#losses
    } catch {
      // The database went away again; the next probe begins anew.
    } finally {
      if (this.#recovering === losses) this.#recovering = undefined
    }
  }

  /** Something may have been lost: the connection that brings it is gone, for example. */
  lost(): void {
    this.#hears = false
    this.#losses += 1
    this.#unheardSinceMs = undefined
    this.#events.onDeaf(false)
  }

  /** When this has resolved, no beat is written any more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#stopped, ...this.#underWay])
  }

  async #beatOnAndOn(): Promise<void> {
    const { signal } = this.#stopping
    let beating = false
    while (!signal.aborted) {
      await pause(BEAT_MS, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      if (performance.now() - (this.#unheardSinceMs ?? Number.POSITIVE_INFINITY) > PATIENCE_MS) {
        this.lost()
        this.#events.onSilence()
      } else if (!this.#hears) this.#events.onDeaf(this.#wrote)
      if (beating) continue
      // Not waited for, because one that hangs must be noticed.
      beating = true
      void this.beat().finally(() => {
        beating = false
      })
    }
  }
}
