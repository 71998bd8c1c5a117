import type { Asked, Disturbance, Exchange, History, Told } from './history.ts'

/** Records every response to every client, and every fault injected into the nodes. */
export class Recorder {
  readonly #originMs = performance.now()
  readonly #exchanges: Exchange[] = []
  readonly #disturbances: Disturbance[] = []
  readonly #faults: History['faults'] = []

  nowMs(): number {
    return performance.now() - this.#originMs
  }

  /**
   * Runs a request and records its outcome.
   *
   * @param nameSession names the session that a login opened
   */
  async exchange(
    where: Pick<Exchange, 'account' | 'session' | 'node'>,
    asked: Asked,
    run: () => Promise<Told>,
    nameSession?: () => string,
  ): Promise<Exchange> {
    const beganMs = this.nowMs()
    const told = await run()
    const opened = told.status === 200 ? nameSession?.() : undefined
    const exchange = {
      ...where,
      session: opened ?? where.session,
      asked,
      told,
      beganMs,
      endedMs: this.nowMs(),
    }
    this.#exchanges.push(exchange)
    return exchange
  }

  /** @returns a function to call when the fault is over */
  disturb(what: string, node: string | undefined, cutsOff: boolean): () => void {
    const disturbance: Disturbance = {
      what,
      node,
      cutsOff,
      fromMs: this.nowMs(),
      toMs: Number.POSITIVE_INFINITY,
    }
    this.#disturbances.push(disturbance)
    return () => {
      disturbance.toMs = this.nowMs()
    }
  }

  fault(what: string): void {
    this.#faults.push({ atMs: this.nowMs(), what })
  }

  history(): Omit<History, 'stored'> {
    return { exchanges: this.#exchanges, disturbances: this.#disturbances, faults: this.#faults }
  }
}
