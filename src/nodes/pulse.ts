/** The time between two pulses: an empty query each, on a connection that is otherwise idle. */
const PULSE_MS = 200

export interface PulseEvents {
  /** Resolves when the notifications of all earlier commits were handled. */
  pulse: () => Promise<void>
  /** @param sinceMs when the pulse that has come back was sent, on the monotonic clock */
  onPulse: (sinceMs: number) => void
  /** The previous pulse is still outstanding, or one failed. */
  onMissing: () => void
  /** A pulse failed: the connection is dead. */
  onConnectionDead: () => void
}

/**
 * Checks several times per second that the listening connection answers, and that it has handled all earlier
 * notifications. A connection may be dead without an error, and a heartbeat every few seconds would notice
 * too late.
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
        this.#events.onConnectionDead()
      },
    )
  }
}
