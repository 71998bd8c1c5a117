import { readdirSync, readFileSync } from 'node:fs'
import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { atTheEnd, type Ending } from '../support/endings.ts'
import type { ServerProcess } from '../support/servers.ts'

/** Between two looks; far less often than would be felt. */
const EVERY_MS = 200

const PAGE_BYTES = 4_096

/** What a process holds. */
export interface Holdings {
  memoryBytes: number
  descriptors: number
}

/** Where the system tells what a process holds: on Linux. */
export const canSeeHoldings = process.platform === 'linux'

/** What the process holds at this moment, as the system counts it. */
export function holdingsOf(pid: number): Holdings {
  if (!canSeeHoldings) return { memoryBytes: 0, descriptors: 0 }
  const [, resident] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return {
    memoryBytes: Number(resident) * PAGE_BYTES,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}

/** For a server to collect its garbage, and the system to take the memory back. */
const COLLECT_MS = 500

/** What a process holds on to, once its garbage is collected. It must have been started with COLLECTING. */
export async function heldBy(pid: number): Promise<Holdings> {
  process.kill(pid, 'SIGWINCH')
  await pause(COLLECT_MS)
  return holdingsOf(pid)
}

/** Connections that the normal clients open and keep, more or less of them at a time. */
const NORMAL_CONNECTIONS = 10

/** Whether as many descriptors are open as before. */
export const areBack = (now: Holdings, before: Holdings) =>
  now.descriptors <= before.descriptors + NORMAL_CONNECTIONS

/** What was seen of the server in a while. */
export interface Seen {
  peak: Holdings
  /** How long `GET /healthz` took over a new connection each time: mostly the delay of the event loop. */
  healthMs: number[]
  failures: string[]
}

const nothingSeen = (): Seen => ({ peak: { memoryBytes: 0, descriptors: 0 }, healthMs: [], failures: [] })

/** Looks at a server several times a second, from outside. */
export class Gauges {
  readonly #url: string
  readonly #pid: number
  #now = nothingSeen()
  #going = true
  readonly #ended: Promise<unknown>

  /** Begins at once, and ends before the server does. */
  constructor(t: Ending, { url, process }: ServerProcess) {
    this.#url = url
    this.#pid = process.pid ?? 0
    this.#ended = Promise.all([this.#repeat(() => this.#measure()), this.#repeat(() => this.#ask())])
    atTheEnd(t, () => {
      this.#going = false
      return this.#ended
    })
  }

  /** What was seen since the last time. */
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

/** Over a connection of its own. */
const statusOf = (url: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode))
      response.resume()
    }).on('error', reject)
  })
