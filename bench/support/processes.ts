import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PROGRAM } from '../../test/support/program.ts'
import { type Program, spawnProgram } from '../../test/support/servers.ts'
import { JWT_SECRET } from './people.ts'

/** Clock ticks of /proc/PID/stat: USER_HZ, which has been 100 on every Linux for decades. */
export const TICKS_PER_SECOND = 100

/** A process counts as idle if it used less of a core than this for a second. */
const IDLE_CORES = 0.03

/** Options of Node for a process whose memory is measured: see Service.heldBytes. */
export const COLLECTING = ['--import', fileURLToPath(new URL('./collect-garbage.mjs', import.meta.url))]

const programs: Program[] = []

/** Kills all processes of the run, so that an aborted run leaves none behind. */
export function killAll(): void {
  for (const { process } of programs) process.kill('SIGKILL')
}

/**
 * The built server in a process of its own, on a free port.
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
  // killAll ends them, because a run has no end like that of a test.
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

  /** @throws Error when it has logged a fault, or does not stop cleanly */
  async stop(): Promise<void> {
    const { process, exited, errors, logs } = this.#program
    process.kill('SIGTERM')
    const code = await exited
    const faults = logs.filter(({ level }) => level >= 50).map((line) => JSON.stringify(line))
    // A floor has no handler of the signal.
    if ((code !== 0 && code !== 'SIGTERM') || faults.length > 0)
      throw new Error(`It ended with ${code}: ${errors()} ${faults.join('\n')}`)
  }

  /** Processor time of all its threads since its start. */
  cpuSeconds(): number {
    return (ticksOf(this.pid)?.own ?? 0) / TICKS_PER_SECOND
  }

  /**
   * Memory (PSS) that it holds after a garbage collection, because garbage says nothing about held memory.
   * Only for a process that was started with COLLECTING.
   */
  async heldBytes(): Promise<number> {
    // V8 frees unused code only after several collections.
    for (let time = 0; time < 3; time += 1) {
      process.kill(this.pid, 'SIGWINCH')
      // Some parked polls return meanwhile, and are parked again.
      await this.untilIdle(2)
    }
    const rollup = readFileSync(`/proc/${this.pid}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1_024
  }

  /** Resolves when it has been idle for a second. */
  async untilIdle(secondsMax = 15): Promise<void> {
    for (let second = 0; second < secondsMax; second += 1) {
      const before = this.cpuSeconds()
      await pause(1_000)
      if (this.cpuSeconds() - before < IDLE_CORES) return
    }
  }
}

/** The ticks of a process: of its threads, and of its children that have ended; undefined when it is gone. */
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
