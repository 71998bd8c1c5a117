import { loadConfig } from '../config/environment.ts'
import type { Config, Environment, Values } from '../config.ts'
import { safe, safeJson, table } from './formatting.ts'
import { socketOperator } from './socket-operator.ts'
import { isListening, socketPath } from './socket-path.ts'
import type { Operator } from './verbs.ts'

/** The process that a command runs in. */
export interface Terminal {
  env: Values
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
  /** For data that scripts read. */
  stdout: NodeJS.WritableStream
  /** For messages to people. */
  stderr: NodeJS.WritableStream
  /** Starts the server; resolves when it listens. */
  start: () => Promise<void>
  /** For tests: a cheap hash, since they hash many passwords. */
  passwordCost?: { memoryCost: number; timeCost: number; parallelism: number }
}

/** One run of the command: its settings, its output and its exit code. */
export class Context {
  readonly terminal: Terminal
  /** Undefined while a server runs in this process. */
  exitCode: number | undefined = 0
  #loaded: (Environment & { config: Config }) | undefined

  constructor(terminal: Terminal) {
    this.terminal = terminal
  }

  /**
   * The settings of the server. Prints warnings about them once.
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
   * Runs `use` against the running server, or against the database if no server runs.
   *
   * @throws DatabaseInUse, DatabaseUnusable, Refused, Problem
   */
  async withOperator<T>(use: (operator: Operator) => Promise<T>): Promise<T> {
    const { config } = this.load()
    const path = socketPath(config)
    if (path !== undefined && (await isListening(path))) return use(socketOperator(path))
    // Imported only here: loading the server's modules takes longer than most commands.
    const { withDatabaseOperator, withSocketHint } = await import('./database-operator.ts')
    const log = { warn: (message: string) => this.say(message) }
    try {
      return await withDatabaseOperator(config, log, this.terminal.passwordCost, use)
    } catch (error) {
      throw withSocketHint(error, path)
    }
  }

  /** Prints a line for people, to stderr. */
  say(message: string): void {
    this.terminal.stderr.write(`${safe(message)}\n`)
  }

  /** Prints a line of data, to stdout. */
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
