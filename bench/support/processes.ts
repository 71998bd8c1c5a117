import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PROGRAM } from '../../test/support/program.ts'
import { type Program, spawnProgram } from '../../test/support/servers.ts'
import { JWT_SECRET } from './people.ts'

/** Clock ticks of /proc/PID/stat: USER_HZ, which has been 100 on every Linux for decades. */
export const TICKS_PER_SECOND = 100

/** A process counts as settled when it used less of a core than this for a second. */
const SETTLED_CORES = 0.03

/** Options of Node for a process whose memory is measured: see Service.heldBytes. */
export const COLLECTING = ['--import', fileURLToPath(new URL('./collect-garbage.mjs', import.meta.url))]

const programs: Program[] = []

/** A run that breaks off leaves none of its processes behind. */
export function killAll(): void {
  for (const { process } of programs) process.kill('SIGKILL')
}

/**
 * Restante as it was built, in a process and on a port of its own.
 *
 * @param database the path of a SQLite file, or the URL of a PostgreSQL database
 * @param flags options of Node
 */
export const startServer = (database: string, flags: string[] = []) =>
  start([...flags, PROGRAM], database.startsWith('postgresql:') ? database : `file:${database}`)

/** @param name a file of floors/ */
export const startFloor = (name: 'bare-fastify' | 'broker' | 'parked' | 'canned', flags: string[] = []) =>
  start([...flags, '--import', 'tsx', `bench/floors/${name}.ts`])

async function start(args: string[], database = ''): Promise<Service> {
  // They end by killAll, because a run has no end like that of a test.
  const ending = { after: () => {} }
  const env = { NODE_ENV: 'production', JWT_SECRET }
  const program = spawnProgram(ending, env, database, [process.execPath, ...args])
  programs.push(program)
  return new Service(program, await program.listening)
}

/** A process that listens. */
export class Service {
  readonly #program: Program
  readonly url: string
  readonly pid: number

  constructor(program: Program, url: string) {
    this.#program = program
    this.url = url
    this.pid = program.process.pid ?? 0
  }

  /** @throws Error when it has met a fault, or does not end in good order */
  async stop(): Promise<void> {
    const { process, exited, errors, logs } = this.#program
    process.kill('SIGTERM')
    const code = await exited
    const faults = logs.filter(({ level }) => level >= 50).map((line) => JSON.stringify(line))
    // A floor has no handler of the signal.
    if ((code !== 0 && code !== 'SIGTERM') || faults.length > 0)
      throw new Error(`It ended with ${code}: ${errors()} ${faults.join('\n')}`)
  }

  /** Processor time used since it began, by all its threads. */
  cpuSeconds(): number {
    return (ticksOf(this.pid)?.own ?? 0) / TICKS_PER_SECOND
  }

  /**
   * Memory (PSS) that it holds once its garbage is collected: how much garbage lies around says nothing about
   * what is held. Only for a process that was started with COLLECTING.
   */
  async heldBytes(): Promise<number> {
    // V8 frees unused code only after several collections.
    for (let time = 0; time < 3; time += 1) {
      process.kill(this.pid, 'SIGWINCH')
      // Some of the parked polls come back meanwhile, and wait again.
      await this.settled(2)
    }
    const rollup = readFileSync(`/proc/${this.pid}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1_024
  }

  /** Resolves when it has had nothing to do for a second. */
  async settled(secondsMax = 15): Promise<void> {
    for (let second = 0; second < secondsMax; second += 1) {
      const before = this.cpuSeconds()
      await pause(1_000)
      if (this.cpuSeconds() - before < SETTLED_CORES) return
    }
  }
}

/** Ticks of a process, of its own threads and of its children that have ended; undefined when it is gone. */
export function ticksOf(pid: number): { parent: number; own: number; waitedFor: number } | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // After the name, which may hold spaces: proc(5) numbers the first of these fields 3.
  const field = (number: number) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[number - 3])
  return { parent: field(4), own: field(14) + field(15), waitedFor: field(16) + field(17) }
}
