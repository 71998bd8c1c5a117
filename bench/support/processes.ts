import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { JWT_SECRET } from './people.ts'

/** Clock ticks of /proc/PID/stat: USER_HZ, which has been 100 on every Linux for decades. */
export const TICKS_PER_SECOND = 100

/** A process counts as settled when it used less of a core than this for a second. */
const SETTLED_CORES = 0.03

/** Node says where it listens in its log, a floor on a line of its own. */
const LISTENING = /http:\/\/127\.0\.0\.1:\d+/

const SERVER = new URL('../../dist/main.js', import.meta.url)

/** Options of Node for a process whose memory is measured: see Service.heldBytes. */
export const COLLECTING = ['--import', fileURLToPath(new URL('./collect-garbage.mjs', import.meta.url))]

/** What Restante is measured against. */
const FLOORS = {
  'bare-fastify': new URL('../floors/bare-fastify.ts', import.meta.url),
  broker: new URL('../floors/broker.ts', import.meta.url),
  parked: new URL('../floors/parked.ts', import.meta.url),
  canned: new URL('../floors/canned.ts', import.meta.url),
}
export type Floor = keyof typeof FLOORS

/** The servers that are measured, each in a process of its own. */
export class Processes {
  readonly #running = new Set<ChildProcess>()
  readonly #serverFlags: string[]

  /** @param serverFlags options of Node for Restante's own process */
  constructor(serverFlags: string[]) {
    this.#serverFlags = serverFlags
  }

  /**
   * Restante as it was built, on a port of its own.
   *
   * @param database the path of a SQLite file, or the URL of a PostgreSQL database
   * @param flags options of Node
   */
  server(database: string, env: Record<string, string> = {}, flags: string[] = []): Promise<Service> {
    return this.#start([...this.#serverFlags, ...flags, fileURLToPath(SERVER)], {
      HOST: '127.0.0.1',
      PORT: '0',
      DATABASE_URL: database.startsWith('postgresql:') ? database : `file:${database}`,
      JWT_SECRET,
      RATE_LIMITS: 'off',
      NODE_ENV: 'production',
      ...env,
    })
  }

  floor(name: Floor, flags: string[] = []): Promise<Service> {
    const args = [...flags, '--import', 'tsx', fileURLToPath(FLOORS[name])]
    return this.#start(args, { NODE_ENV: 'production' }, 'SIGKILL')
  }

  /** Nothing of a run that was broken off may stay behind. */
  killAll(): void {
    for (const child of this.#running) child.kill('SIGKILL')
  }

  async #start(args: string[], env: Record<string, string>, signal: NodeJS.Signals = 'SIGTERM') {
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    return new Service(child, await addressOf(child), signal)
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('The output of the process is not read.')
  const lines = createInterface(child.stdout)
  const said = new Promise<string>((resolve) => {
    lines.on('line', (line) => {
      const [url] = LISTENING.exec(line) ?? []
      if (url) resolve(url)
      // Whatever a server under load has to say is a warning or a fault.
      else if (/"level":[456]0/.test(line)) console.error(line)
    })
  })
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${child.spawnargs.join(' ')} ended before it listened.`)
  })
  return Promise.race([said, ended])
}

/** A process that listens. */
export class Service {
  readonly url: string
  readonly pid: number
  readonly #child: ChildProcess
  readonly #signal: NodeJS.Signals

  constructor(child: ChildProcess, url: string, signal: NodeJS.Signals) {
    this.#child = child
    this.url = url
    this.pid = child.pid ?? 0
    this.#signal = signal
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill(this.#signal)
    const [code] = await ended
    if (this.#signal === 'SIGTERM' && code !== 0) throw new Error(`The server ended with code ${code}.`)
  }

  /** Processor time used since it began, of all its threads. */
  cpuSeconds(): number {
    return (ticksOf(this.pid)?.own ?? 0) / TICKS_PER_SECOND
  }

  /** Memory that is its own, with its share of what is shared. */
  pssBytes(): number {
    const [, kilobytes] =
      /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/smaps_rollup`, 'utf8')) ?? []
    return Number(kilobytes) * 1_024
  }

  /**
   * Memory that it holds on to, once its garbage is collected: how much of that lies around, and for how
   * long, is no property of what it holds. Only for a process that was started with COLLECTING.
   */
  async heldBytes(): Promise<number> {
    // Code that is not used any more is let go of only after several times.
    for (let time = 0; time < 3; time += 1) {
      process.kill(this.pid, 'SIGWINCH')
      // Some of the polls that are parked come back meanwhile, and go on waiting.
      await this.settled(2)
    }
    return this.pssBytes()
  }

  /** Resolves when it has nothing to do for a second. */
  async settled(secondsMax = 15): Promise<void> {
    for (let second = 0; second < secondsMax; second += 1) {
      const before = this.cpuSeconds()
      await pause(1_000)
      if (this.cpuSeconds() - before < SETTLED_CORES) return
    }
  }
}

export interface Ticks {
  parent: number
  /** Used by its own threads. */
  own: number
  /** Used by its children that have ended. */
  waitedFor: number
}

/** Processor time that a process has used; undefined when it is gone. */
export function ticksOf(pid: number): Ticks | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // Behind the name, which may hold spaces: proc(5) numbers the first of these fields 3.
  const field = (number: number) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[number - 3])
  return { parent: field(4), own: field(14) + field(15), waitedFor: field(16) + field(17) }
}
