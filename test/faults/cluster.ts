import { setTimeout as pause } from 'node:timers/promises'
import type { Ending } from '../support/endings.ts'
import { FaultyProxy } from '../support/faulty-proxy.ts'
import { through } from '../support/nodes.ts'
import { type Cluster as Postgres, startCluster } from '../support/postgres.ts'
import { type LogLine, type ServerProcess, spawnServer } from '../support/servers.ts'
import type { Recorder } from './recorder.ts'

const SECRET = 'a secret that all nodes of this run share'

/** The pause of the supervisor before it starts a node again, whose database may be unavailable. */
const START_AGAIN_MS = 200

/** How long a clean stop of a node may take: after 10 s it cuts off everything left. */
const STOP_MS_MAX = 15_000

/** A node, restarted again and again, and its connection to the database. */
export class Node {
  readonly name: string
  readonly proxy: FaultyProxy
  readonly #t: Ending
  readonly #env: Record<string, string>
  readonly #recorder: Recorder
  #server: ServerProcess | undefined
  #starting: Promise<void> | undefined
  #endedOnPurpose: ServerProcess | undefined

  constructor(t: Ending, name: string, databaseUrl: string, proxy: FaultyProxy, recorder: Recorder) {
    this.#t = t
    this.name = name
    this.proxy = proxy
    this.#env = { DATABASE_URL: through(proxy, databaseUrl), JWT_SECRET: SECRET }
    this.#recorder = recorder
  }

  /** Its address; undefined while it is not running. */
  get url(): string | undefined {
    return this.#server?.url
  }

  /** Starts it like a supervisor: until it runs. */
  start(): Promise<void> {
    this.#starting ??= this.#startUntilItRuns().finally(() => {
      this.#starting = undefined
    })
    return this.#starting
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#endedOnPurpose = server
    const askedMs = this.#recorder.nowMs()
    server.process.kill(signal)
    await server.exited
    const tookMs = this.#recorder.nowMs() - askedMs
    if (tookMs > STOP_MS_MAX) this.#recorder.noteFailure(`${this.name} took ${Math.round(tookMs)} ms to end`)
  }

  async #startUntilItRuns() {
    while (!this.#server) {
      try {
        this.#watch(await spawnServer(this.#t, this.#env, 'unused'))
      } catch {
        await pause(START_AGAIN_MS)
      }
    }
  }

  #watch(server: ServerProcess) {
    this.#server = server
    void server.exited.then((code) => {
      this.#server = undefined
      if (this.#endedOnPurpose === server) return
      this.#recorder.noteFailure(`${this.name} ended by itself with ${code}: ${server.errors()}`)
      const over = this.#recorder.injectFault('ended by itself', this.name, true)
      void this.start().then(over)
    })
    this.#reportFaults(server)
  }

  /** Checks that its log has no error except those that faults cause. */
  #reportFaults(server: ServerProcess) {
    void server.exited.then(() => {
      for (const line of server.logs.filter(isFault))
        this.#recorder.noteFailure(`${this.name} logged ${JSON.stringify(line)}`)
    })
  }
}

/** A node that stops without its database logs that it could not write the last acknowledgements. */
const isFault = ({ level, ['err']: error }: LogLine) =>
  level >= 50 && (error as { type?: string } | undefined)?.type !== 'DatabaseUnavailable'

/** Several nodes on one database. */
export interface Cluster {
  postgres: Postgres
  /** A direct connection to the database, without a proxy. */
  databaseUrl: string
  nodes: Node[]
  /** Chooses a node that seems to be up, like a load balancer; waits while there is none. */
  choose: (random: number) => Promise<{ name: string; url: string }>
}

export async function startNodes(t: Ending, count: number, recorder: Recorder): Promise<Cluster> {
  const postgres = await startCluster({ durable: true })
  t.after(() => postgres.stop())
  const databaseUrl = await postgres.createDatabase()
  const nodes = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const proxy = await FaultyProxy.start(t, Number(new URL(databaseUrl).port))
      return new Node(t, `node ${at + 1}`, databaseUrl, proxy, recorder)
    }),
  )
  await Promise.all(nodes.map((node) => node.start()))
  return { postgres, databaseUrl, nodes, choose: (random) => choose(nodes, random) }
}

async function choose(nodes: Node[], random: number): Promise<{ name: string; url: string }> {
  for (;;) {
    const up = nodes.flatMap(({ name, url }) => (url === undefined ? [] : [{ name, url }]))
    const chosen = up[Math.floor(random * up.length)]
    if (chosen) return chosen
    await pause(START_AGAIN_MS)
  }
}
