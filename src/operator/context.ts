import { loadConfig } from '../config/environment.ts'
import type { Config, Environment, Values } from '../config.ts'
import { safe, safeJson, table } from './output.ts'
import { isAnswered, socketPath } from './place.ts'
import { socketOperator } from './socket-operator.ts'
import type { Operator } from './verbs.ts'

/** What a command has of the process that it runs in. */
export interface Terminal {
  env: Values
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  /** For data: what scripts read. */
  stdout: NodeJS.WritableStream
  /** For words. */
  stderr: NodeJS.WritableStream
  /** Starts the server, which goes on when this has resolved. */
  start: () => Promise<void>
  /** For tests, which hash many passwords. */
  passwordCost?: { memoryCost: number; timeCost: number; parallelism: number }
}

/** One run of the command. */
export class Context {
  readonly terminal: Terminal
  /** What the process ends with; undefined while a server runs in it. */
  exitCode: number | undefined = 0
  #loaded: (Environment & { config: Config }) | undefined

  constructor(terminal: Terminal) {
    this.terminal = terminal
  }

  /**
   * The settings of the server; warnings about them are said once.
   *
   * @throws ConfigurationError
   */
  load(): Environment & { config: Config } {
    if (this.#loaded) return this.#loaded
    this.#loaded = loadConfig(this.terminal.env)
    for (const warning of this.#loaded.warnings) this.say(warning)
    return this.#loaded
  }

  /**
   * Lends the running server, or the database when none runs.
   *
   * @throws DatabaseInUse, DatabaseUnusable, Refused, Problem
   */
  async withOperator<T>(use: (operator: Operator) => Promise<T>): Promise<T> {
    const { config } = this.load()
    const path = socketPath(config)
    if (path !== undefined && (await isAnswered(path))) return use(socketOperator(path))
    // To load what a server is made of takes longer than most commands.
    const { onDatabase, alsoSaying } = await import('./reach.ts')
    const log = { warn: (words: string) => this.say(words) }
    try {
      return await onDatabase(config, log, this.terminal.passwordCost, use)
    } catch (error) {
      throw alsoSaying(error, path)
    }
  }

  /** Says a line to people. */
  say(words: string): void {
    this.terminal.stderr.write(`${safe(words)}\n`)
  }

  /** Prints a line of data. */
  print(line: string): void {
    this.terminal.stdout.write(`${safe(line)}\n`)
  }

  printTable(rows: readonly (readonly string[])[]): void {
    this.terminal.stdout.write(table(rows))
  }

  printJson(value: unknown): void {
    this.terminal.stdout.write(`${safeJson(value, 2)}\n`)
  }
}
