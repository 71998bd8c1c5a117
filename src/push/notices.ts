import { LRUCache } from 'lru-cache'

export interface PushLog {
  warn: (message: string) => void
  info: (message: string) => void
}

/** Anybody can name a service that fails, or comes and goes: neither one nor many fill the log. */
const NOTICES_MAX = 20
const TIMES_MAX = 3
const EVERY_MS = 3_600_000

interface Notice {
  times: number
  isOver: boolean
}

/** Warnings for the operator: about few things, and few times an hour about the same. */
export class Notices {
  readonly #log: PushLog
  readonly #notices = new LRUCache<string, Notice>({ max: NOTICES_MAX, ttl: EVERY_MS })

  constructor(log: PushLog) {
    this.#log = log
  }

  /** @param about of two warnings about the same the second one says nothing new, until the first is over */
  warn(about: string, message: string): void {
    this.#notices.purgeStale()
    const known = this.#notices.get(about)
    if (known) {
      if (!known.isOver || known.times >= TIMES_MAX) return
      known.times += 1
      known.isOver = false
    } else {
      if (this.#notices.size >= NOTICES_MAX) return
      this.#notices.set(about, { times: 1, isOver: false })
    }
    this.#log.warn(message)
  }

  /** What was warned of is over. Says nothing where there was no warning. */
  over(about: string, message: string): void {
    const known = this.#notices.get(about)
    if (!known || known.isOver) return
    known.isOver = true
    this.#log.info(message)
  }
}
