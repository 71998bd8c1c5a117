import type { ClientRequest, Exchange, History, InjectedFault, Outcome } from './history.ts'

/** Records every response to every client, and every fault injected into the nodes. */
export class Recorder {
  readonly #originMs = performance.now()
  readonly #exchanges: Exchange[] = []
  readonly #injectedFaults: InjectedFault[] = []
  readonly #failures: History['failures'] = []

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
    request: ClientRequest,
    run: () => Promise<Outcome>,
    nameSession?: () => string,
  ): Promise<Exchange> {
    const beganMs = this.nowMs()
    const outcome = await run()
    const opened = outcome.status === 200 ? nameSession?.() : undefined
    const exchange = {
      ...where,
      session: opened ?? where.session,
      request,
      outcome,
      beganMs,
      endedMs: this.nowMs(),
    }
    this.#exchanges.push(exchange)
    return exchange
  }

  /** @returns a function to call when the fault is over */
  injectFault(what: string, node: string | undefined, cutsOff: boolean): () => void {
    const fault: InjectedFault = {
      what,
      node,
      cutsOff,
      fromMs: this.nowMs(),
      toMs: Number.POSITIVE_INFINITY,
    }
    this.#injectedFaults.push(fault)
    return () => {
      fault.toMs = this.nowMs()
    }
  }

  noteFailure(what: string): void {
    this.#failures.push({ atMs: this.nowMs(), what })
  }

  history(): Omit<History, 'stored'> {
    return { exchanges: this.#exchanges, injectedFaults: this.#injectedFaults, failures: this.#failures }
  }
}
