import type { FastifyBaseLogger } from 'fastify'

/** The interval between two lines about one kind of fault. */
const WINDOW_MS = 1_000

/** How many kinds of fault are counted separately. Further ones are counted by message. */
const KINDS_MAX = 100

type Level = 'warn' | 'error'

/**
 * Logs the first fault of a kind at once, and its repeats as one line per second with their count.
 * Otherwise a database that is down would fill the disk with log lines.
 */
export class FaultLog {
  readonly #log: Pick<FastifyBaseLogger, Level>
  /** How often each kind has repeated since its last line. */
  readonly #repeats = new Map<string, number>()

  constructor(log: Pick<FastifyBaseLogger, Level>) {
    this.#log = log
  }

  /**
   * @param fields of the line; the count has those of the first fault
   * @param reason distinguishes kinds of fault with the same message
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

  /** @param report called every second with the number of repeats, until there are none */
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
