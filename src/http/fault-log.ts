import type { FastifyBaseLogger } from 'fastify'

/** The interval in which a fault is written once, with its count at the end. */
const WINDOW_MS = 1_000

/** How many kinds of fault are counted separately; further ones are counted by their message alone. */
const KINDS_MAX = 100

type Level = 'warn' | 'error'

/**
 * Logs each kind of fault at most once per second: the first at once, the others of that second as one line
 * with their count. Otherwise a database that is down would fill the disk with log lines.
 */
export class FaultLog {
  readonly #log: Pick<FastifyBaseLogger, Level>
  /** How often each kind has repeated since its last line. */
  readonly #repeats = new Map<string, number>()

  constructor(log: Pick<FastifyBaseLogger, Level>) {
    this.#log = log
  }

  /**
   * @param fields of the line; those of the first fault stand for all of its kind
   * @param reason distinguishes kinds of fault that share a message
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

  /** @param report called each second with the number of repetitions, while there are any */
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
