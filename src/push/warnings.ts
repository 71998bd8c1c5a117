import { LRUCache } from 'lru-cache'

export interface PushLog {
  warn: (message: string) => void
  info: (message: string) => void
}

/** Anyone can register endpoints of failing or flapping services; they must not fill the log. */
const TOPICS_MAX = 20
const TIMES_MAX = 3
const WINDOW_MS = 3_600_000

interface Topic {
  times: number
  isOver: boolean
}

/** Rate-limited warnings for the operator: few topics, and few times per hour about each. */
export class Warnings {
  readonly #log: PushLog
  readonly #topics = new LRUCache<string, Topic>({ max: TOPICS_MAX, ttl: WINDOW_MS })

  constructor(log: PushLog) {
    this.#log = log
  }

  /** @param topic a second warning about it is dropped until `over` is called */
  warn(topic: string, message: string): void {
    this.#topics.purgeStale()
    const known = this.#topics.get(topic)
    if (known) {
      if (!known.isOver || known.times >= TIMES_MAX) return
      known.times += 1
      known.isOver = false
    } else {
      if (this.#topics.size >= TOPICS_MAX) return
      this.#topics.set(topic, { times: 1, isOver: false })
    }
    this.#log.warn(message)
  }

  /** Logs that the reason of a warning is over. Does nothing if there was no warning. */
  over(topic: string, message: string): void {
    const known = this.#topics.get(topic)
    if (!known || known.isOver) return
    known.isOver = true
    this.#log.info(message)
  }
}
