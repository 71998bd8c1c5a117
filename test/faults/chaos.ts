import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster, Node } from './cluster.ts'
import type { Recorder } from './recorder.ts'

/** Between two deeds. */
const PAUSE_MS_MAX = 4_000

/** After so many deeds there is a calm, or else nobody would ever wait for long undisturbed. */
const DEEDS_MIN = 6
const DEEDS_MAX = 24

/** Longer than anybody may wait for a message whose hint was lost. */
const CALM_MS = 32_000

/** Breaks things at random, several at once, and mends them. */
export class Chaos {
  readonly #cluster: Cluster
  readonly #recorder: Recorder
  readonly #random: () => number
  readonly #stopping = new AbortController()
  /** What is broken now, by what it concerns: a node's name, or "database". */
  readonly #busy = new Map<string, Promise<void>>()
  readonly done = new Map<string, number>()

  constructor(cluster: Cluster, recorder: Recorder, random: () => number) {
    this.#cluster = cluster
    this.#recorder = recorder
    this.#random = random
  }

  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const deeds = DEEDS_MIN + Math.floor(this.#random() * (DEEDS_MAX - DEEDS_MIN))
      for (let deed = 0; deed < deeds && !this.#stopping.signal.aborted; deed++) await this.#doOne(DEEDS)
      // Hints get lost in the calm, too.
      await this.#doOne([CUT_LISTENERS])
      await this.#hold(CALM_MS)
    }
    await Promise.all(this.#busy.values())
  }

  async #doOne(deeds: Deed[]) {
    // Drawn whether they are needed or not, so that a seed always leads to the same deeds.
    const [which, whom, long, rest] = [this.#random(), this.#random(), this.#random(), this.#random()]
    const node = this.#cluster.nodes[Math.floor(whom * this.#cluster.nodes.length)] as Node
    this.#do(deeds[Math.floor(which * deeds.length)] as Deed, node, long)
    await this.#hold(rest ** 2 * PAUSE_MS_MAX)
  }

  /** Everything that is broken is mended when this has settled. */
  stop(): void {
    this.#stopping.abort()
  }

  #do(deed: Deed, node: Node, long: number) {
    const concerned = deed.concerns === 'node' ? node.name : deed.concerns
    if (this.#busy.has(concerned)) return
    this.done.set(deed.what, (this.done.get(deed.what) ?? 0) + 1)
    const over = this.#recorder.disturb(
      deed.what,
      deed.concerns === 'node' ? node.name : undefined,
      deed.cutsOff,
    )
    const doing = deed
      .run(this.#cluster, node, (ms) => this.#hold(long * ms))
      .then(() => {
        over()
        this.#busy.delete(concerned)
      })
    this.#busy.set(concerned, doing)
  }

  /** Not longer than the chaos lasts. */
  async #hold(ms: number) {
    await pause(ms, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }
}

interface Deed {
  what: string
  /** Two that concern the same are not done at once. */
  concerns: 'node' | 'database' | 'connections'
  cutsOff: boolean
  /** @param hold lets it last for a random part of so many ms */
  run: (cluster: Cluster, node: Node, hold: (ms: number) => Promise<void>) => Promise<void>
}

const endOfNode = (what: string, signal: 'SIGKILL' | 'SIGTERM'): Deed => ({
  what,
  concerns: 'node',
  cutsOff: true,
  run: async (_cluster, node, hold) => {
    await node.end(signal)
    await hold(3_000)
    await node.start()
  },
})

const KILL = endOfNode('kill -9', 'SIGKILL')
const STOP = endOfNode('SIGTERM', 'SIGTERM')

const CRASH_DATABASE: Deed = {
  what: 'database crashed',
  concerns: 'database',
  cutsOff: true,
  run: async ({ postgres }, _node, hold) => {
    await postgres.crash()
    await hold(8_000)
    await postgres.start()
  },
}

const STALL: Deed = {
  what: 'way to the database stalled',
  concerns: 'node',
  cutsOff: true,
  run: async (_cluster, { way }, hold) => {
    way.stall()
    await hold(25_000)
    way.heal()
  },
}

const DROP: Deed = {
  what: 'way to the database dropped',
  concerns: 'node',
  cutsOff: true,
  run: async (_cluster, { way }, hold) => {
    way.refuse()
    await hold(5_000)
    way.heal()
  },
}

const CUT_LISTENERS: Deed = {
  what: 'listeners cut',
  concerns: 'connections',
  cutsOff: false,
  run: ({ databaseUrl }) => terminate(databaseUrl, `application_name = 'restante listener'`),
}

/** A look for many polls may be among them, and is then repeated only with the next. */
const CUT_BACKENDS: Deed = {
  what: 'connections cut in the middle of work',
  concerns: 'connections',
  cutsOff: true,
  run: ({ databaseUrl }) => terminate(databaseUrl, `application_name = 'restante' AND random() < 0.5`),
}

/** As often as they stand here. */
const DEEDS = [
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
    // The database is away itself.
  }
  client.end().catch(() => {})
}
