import { LRUCache } from 'lru-cache'

export interface PushLog {
  warn: (message: string) => void
  info: (message: string) => void
}

/** Anybody can name a service that fails: neither one nor many fill the log. */
const NOTICES_MAX = 20
const EVERY_MS = 3_600_000

/** Warnings for the operator: one an hour about the same, and few in all. */
export class Notices {
  readonly #log: PushLog
  readonly #told = new LRUCache<string, true>({ max: NOTICES_MAX, ttl: EVERY_MS })

  constructor(log: PushLog) {
    this.#log = log
  }

  /** @param about what the message is about: told once an hour */
  warn(about: string, message: string): void {
    this.#told.purgeStale()
    if (this.#told.has(about) || this.#told.size >= NOTICES_MAX) return
    this.#told.set(about, true)
    this.#log.warn(message)
  }

  /** @param about of a warning, which may be logged again from now on; without a warning nothing is logged */
  over(about: string, message: string): void {
    if (this.#told.delete(about)) this.#log.info(message)
  }
}
