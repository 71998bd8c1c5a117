/** A query that reads nothing, on a connection that has nothing else to do. */
const PULSE_MS = 200

export interface PulseEvents {
  /** Resolves when all that was committed before was heard. */
  pulse: () => Promise<void>
  /** @param sinceMs when the pulse was begun that has come back, on the monotonic clock */
  onPulse: (sinceMs: number) => void
  /** None came back since the last time that this was looked at, or one failed. */
  onMissing: () => void
  /** One failed: the connection is no good. */
  onSilence: () => void
}

/**
 * Finds out several times a second whether the words of other nodes arrive. A connection may be dead without
 * an error, and a heartbeat every few seconds would tell too late.
 */
export class Pulse {
  readonly #events: PulseEvents
  readonly #timer: NodeJS.Timeout
  #underWay = false

  constructor(events: PulseEvents) {
    this.#events = events
    this.#timer = setInterval(() => this.#beat(), PULSE_MS).unref()
    this.#beat()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #beat() {
    // One at a time, so that they do not queue up at a database that hangs.
    if (this.#underWay) return this.#events.onMissing()
    this.#underWay = true
    const sinceMs = performance.now()
    this.#events.pulse().then(
      () => {
        this.#underWay = false
        this.#events.onPulse(sinceMs)
      },
      () => {
        this.#underWay = false
        this.#events.onMissing()
        this.#events.onSilence()
      },
    )
  }
}
