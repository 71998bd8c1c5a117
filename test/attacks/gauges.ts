import { readdirSync, readFileSync } from 'node:fs'
import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { atTheEnd, type Ending } from '../support/endings.ts'
import type { ServerProcess } from '../support/servers.ts'

/** The pause between two measurements; far too long to be noticed by the server. */
const EVERY_MS = 200

const PAGE_BYTES = 4_096

/** The resources of a process. */
export interface Holdings {
  memoryBytes: number
  descriptors: number
}

/** Whether the system reports the resources of a process, as Linux does. */
export const canSeeHoldings = process.platform === 'linux'

/** The current resources of the process, as the system counts them. */
export function holdingsOf(pid: number): Holdings {
  if (!canSeeHoldings) return { memoryBytes: 0, descriptors: 0 }
  const [, resident] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return {
    memoryBytes: Number(resident) * PAGE_BYTES,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** The time for a server to collect its garbage, and for the system to reclaim the memory. */
const COLLECT_MS = 500

/** The resources of a process after a garbage collection. It must have been started with COLLECTING. */
export async function heldBy(pid: number): Promise<Holdings> {
  process.kill(pid, 'SIGWINCH')
  await pause(COLLECT_MS)
  return holdingsOf(pid)
}

/** The connections of the normal clients, whose number varies. */
const NORMAL_CONNECTIONS = 10

/** Whether the number of open descriptors is back. */
export const areBack = (now: Holdings, before: Holdings) =>
  now.descriptors <= before.descriptors + NORMAL_CONNECTIONS

/** The measurements of a server over some time. */
export interface Seen {
  peak: Holdings
  /** The times of `GET /healthz` over new connections: mostly the delay of the event loop. */
  healthMs: number[]
  failures: string[]
}

const nothingSeen = (): Seen => ({ peak: { memoryBytes: 0, descriptors: 0 }, healthMs: [], failures: [] })

/** Measures a server several times per second, from outside. */
export class Gauges {
  readonly #url: string
  readonly #pid: number
  #now = nothingSeen()
  #going = true
  readonly #ended: Promise<unknown>

  /** Starts at once, and ends before the server. */
  constructor(t: Ending, { url, process }: ServerProcess) {
    this.#url = url
    this.#pid = process.pid ?? 0
    this.#ended = Promise.all([this.#repeat(() => this.#measure()), this.#repeat(() => this.#ask())])
    atTheEnd(t, () => {
      this.#going = false
      return this.#ended
    })
  }

  /** The measurements since the last call. */
  takeSeen(): Seen {
    const taken = this.#now
    this.#now = nothingSeen()
    return taken
  }

  async #repeat(look: () => unknown) {
    while (this.#going) {
      await look()
      await pause(EVERY_MS)
    }
  }

  #measure() {
    const { memoryBytes, descriptors } = holdingsOf(this.#pid)
    const { peak } = this.#now
    peak.memoryBytes = Math.max(peak.memoryBytes, memoryBytes)
    peak.descriptors = Math.max(peak.descriptors, descriptors)
  }

  async #ask() {
    const { healthMs, failures } = this.#now
    const startedMs = performance.now()
    try {
      const status = await statusOf(`${this.#url}/healthz`)
      if (status !== 200) failures.push(`GET /healthz: ${status}`)
    } catch (error) {
      failures.push(`GET /healthz: ${error}`)
    }
    healthMs.push(performance.now() - startedMs)
  }
}

/** Uses a new connection. */
const statusOf = (url: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode))
      response.resume()
    }).on('error', reject)
  })
