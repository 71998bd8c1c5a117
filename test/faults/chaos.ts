import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster, Node } from './cluster.ts'
import type { Recorder } from './recorder.ts'

/** The longest pause between two faults. */
const PAUSE_MS_MAX = 4_000

/** How many faults come before a calm, which lets polls wait for long. */
const FAULTS_MIN = 6
const FAULTS_MAX = 24

/** Longer than a poll may wait for a message whose hint was lost. */
const CALM_MS = 32_000

/** Causes random faults, several at once, and ends them. */
export class Chaos {
  readonly #cluster: Cluster
  readonly #recorder: Recorder
  readonly #random: () => number
  readonly #stopping = new AbortController()
  /** The current faults, by what they affect: the name of a node, or "database". */
  readonly #busy = new Map<string, Promise<void>>()
  readonly caused = new Map<string, number>()

  constructor(cluster: Cluster, recorder: Recorder, random: () => number) {
    this.#cluster = cluster
    this.#recorder = recorder
    this.#random = random
  }

  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const faults = FAULTS_MIN + Math.floor(this.#random() * (FAULTS_MAX - FAULTS_MIN))
      for (let fault = 0; fault < faults && !this.#stopping.signal.aborted; fault++)
        await this.#causeOne(FAULTS)
      // Hints are lost in the calm, too.
      await this.#causeOne([CUT_LISTENERS])
      await this.#hold(CALM_MS)
    }
    await Promise.all(this.#busy.values())
  }

  async #causeOne(faults: Fault[]) {
    // Always drawn, needed or not, so that a seed always leads to the same faults.
    const [which, who, long, rest] = [this.#random(), this.#random(), this.#random(), this.#random()]
    const node = this.#cluster.nodes[Math.floor(who * this.#cluster.nodes.length)] as Node
    this.#cause(faults[Math.floor(which * faults.length)] as Fault, node, long)
    await this.#hold(rest ** 2 * PAUSE_MS_MAX)
  }

  /** Stops causing faults. When run() has resolved, all of them have ended. */
  stop(): void {
    this.#stopping.abort()
  }

  #cause(fault: Fault, node: Node, long: number) {
    const affected = fault.affects === 'node' ? node.name : fault.affects
    if (this.#busy.has(affected)) return
    this.caused.set(fault.what, (this.caused.get(fault.what) ?? 0) + 1)
    const over = this.#recorder.injectFault(
      fault.what,
      fault.affects === 'node' ? node.name : undefined,
      fault.cutsOff,
    )
    const running = fault
      .run(this.#cluster, node, (ms) => this.#hold(long * ms))
      .then(() => {
        over()
        this.#busy.delete(affected)
      })
    this.#busy.set(affected, running)
  }

  /** Waits, at most until stop(). */
  async #hold(ms: number) {
    await pause(ms, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }
}

interface Fault {
  what: string
  /** Two faults that affect the same thing do not happen at once. */
  affects: 'node' | 'database' | 'connections'
  cutsOff: boolean
  /** @param hold lets the fault last for a random part of this time in ms */
  run: (cluster: Cluster, node: Node, hold: (ms: number) => Promise<void>) => Promise<void>
}

const endOfNode = (what: string, signal: 'SIGKILL' | 'SIGTERM'): Fault => ({
  what,
  affects: 'node',
  cutsOff: true,
  run: async (_cluster, node, hold) => {
    await node.end(signal)
    await hold(3_000)
    await node.start()
  },
})

const KILL = endOfNode('kill -9', 'SIGKILL')
const STOP = endOfNode('SIGTERM', 'SIGTERM')

const CRASH_DATABASE: Fault = {
  what: 'database crashed',
  affects: 'database',
  cutsOff: true,
  run: async ({ postgres }, _node, hold) => {
    await postgres.crash()
    await hold(8_000)
    await postgres.start()
  },
}

const STALL: Fault = {
  what: 'database connection stalled',
  affects: 'node',
  cutsOff: true,
  run: async (_cluster, { proxy }, hold) => {
    proxy.stall()
    await hold(25_000)
    proxy.heal()
  },
}

const DROP: Fault = {
  what: 'database connection dropped',
  affects: 'node',
  cutsOff: true,
  run: async (_cluster, { proxy }, hold) => {
    proxy.refuse()
    await hold(5_000)
    proxy.heal()
  },
}

const CUT_LISTENERS: Fault = {
  what: 'listeners cut',
  affects: 'connections',
  cutsOff: false,
  run: ({ databaseUrl }) => terminate(databaseUrl, `application_name = 'restante listener'`),
}

/** May cut a check of many polls, which is then repeated only by the next check. */
const CUT_BACKENDS: Fault = {
  what: 'connections cut in the middle of work',
  affects: 'connections',
  cutsOff: true,
  run: ({ databaseUrl }) => terminate(databaseUrl, `application_name = 'restante' AND random() < 0.5`),
}

/** A fault listed more often happens more often. */
const FAULTS = [
  ...[KILL, KILL, STOP, CRASH_DATABASE, STALL, STALL, DROP],
  ...[CUT_LISTENERS, CUT_LISTENERS, CUT_LISTENERS, CUT_BACKENDS, CUT_BACKENDS],
]

async function terminate(databaseUrl: string, which: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${which}`)
  } catch {
    // The database itself is unavailable.
  }
  client.end().catch(() => {})
}
