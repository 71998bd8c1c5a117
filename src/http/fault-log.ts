import type { FastifyBaseLogger } from 'fastify'

/** Within this time a fault is written once; how often it came is written at the end. */
const WINDOW_MS = 1_000

/** Kinds of fault told apart at a time; what is more is counted by its message alone. */
const KINDS_MAX = 100

type Level = 'warn' | 'error'

/**
 * Writes each kind of fault at most once a second: the first at once, the others of that second as one line
 * with their count. Otherwise a database that is down would fill the disk with log lines.
 */
export class FaultLog {
  readonly #log: Pick<FastifyBaseLogger, Level>
  /** How often each kind came again, since its last line. */
  readonly #repeats = new Map<string, number>()

  constructor(log: Pick<FastifyBaseLogger, Level>) {
    this.#log = log
  }

  /**
   * @param fields of the line; those of the first fault stand for all of its kind
   * @param reason tells kinds of fault with one message apart
   */
  write(level: Level, fields: object, message: string, reason: string): void {
    const known = `${message}: ${reason}`
    const kind = this.#repeats.has(known) || this.#repeats.size < KINDS_MAX ? known : message
    const repeats = this.#repeats.get(kind)
    if (repeats !== undefined) {
      this.#repeats.set(kind, repeats + 1)
      return
    }
    this.#log[level](fields, message)
    this.#countRepeats(kind, (count) => this.#log[level]({ ...fields, count }, message))
  }

  /** @param report called a second later with how often the kind came again, and each second while it does */
  #countRepeats(kind: string, report: (count: number) => void) {
    this.#repeats.set(kind, 0)
    setTimeout(() => {
      const count = this.#repeats.get(kind) ?? 0
      this.#repeats.delete(kind)
      if (count === 0) return
      report(count)
      this.#countRepeats(kind, report)
    }, WINDOW_MS).unref()
  }
}
