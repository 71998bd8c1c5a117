import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atTheEnd, type Ending } from '../support/endings.ts'
import type { AttackName, Target } from './attacks.ts'
import type { Counts } from './wire.ts'

/** The attacker's process, seen from the test. */
export class Attacker {
  readonly #process: ChildProcess

  private constructor(child: ChildProcess) {
    this.#process = child
  }

  static async start(t: Ending): Promise<Attacker> {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const path = fileURLToPath(new URL('attacker-process.ts', import.meta.url))
    const child = fork(path, { execArgv: ['--import', 'tsx'], env })
    atTheEnd(t, async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    })
    await once(child, 'message')
    return new Attacker(child)
  }

  begin(name: AttackName, target: Target): void {
    this.#process.send([name, target])
  }

  /** Resolves when it has closed its connections. */
  async end(): Promise<Counts> {
    const counted = once(this.#process, 'message')
    this.#process.send('stop')
    const [counts] = (await counted) as [Counts]
    return counts
  }
}
