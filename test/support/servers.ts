import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { ConnectionLimits } from '../../src/http/connections.ts'
import type { PushOptions } from '../../src/open-push.ts'
import { PASSWORD_COST } from './accounts.ts'
import {
  ConfigurationError,
  contractWith,
  createServer,
  DatabaseInUse,
  DatabaseUnusable,
  isPostgres,
  readConfig,
} from './built.ts'
import { newDatabase } from './databases.ts'
import { atTheEnd, type Ending, endOfSuite } from './endings.ts'
import { PROGRAM } from './program.ts'

export type Env = Record<string, string>

/** A line of the server's log. */
export interface LogLine {
  level: number
  msg: string
  [key: string]: unknown
}

export interface RunningServer {
  url: string
  /** Its DATABASE_URL. */
  database: string
  logs: LogLine[]
  /** Stops it cleanly; the end of the test does this if the test does not. */
  stop: () => Promise<void>
}

/** A server in this process. */
export interface StartedServer extends RunningServer {
  operator: Awaited<ReturnType<typeof createServer>>['operator']
}

/** The common secret of all nodes of a PostgreSQL database; on SQLite the server makes one. */
const JWT_SECRET = 'a secret that all test servers have'

/** With these modules every further server on SQLite starts in a quarter of the time. */
const FAST_STARTS = ['query-compiler', 'recycled-threads'].map(
  (name) => new URL(`./${name}.mjs`, import.meta.url).href,
)

/** The settings of every test server, unless the test overrides them: a free port, its database. */
const envFor = (database: string, env: Env): Env => ({
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: database,
  RATE_LIMITS: 'off',
  ...(isPostgres(database) && { JWT_SECRET }),
  ...env,
})

/**
 * Starts the service in this process, on a real port.
 *
 * @param env variables that differ from the defaults
 * @param existing a DATABASE_URL to continue with; without it the server gets a new database
 * @param connectionLimits that differ from those of production
 * @param pushOptions how push services are reached
 */
export async function startServer(
  t: Ending,
  env: Env = {},
  existing?: string,
  connectionLimits: Partial<ConnectionLimits> = {},
  pushOptions: PushOptions = {},
): Promise<StartedServer> {
  const database = existing ?? (await newDatabase(t))
  const logs: LogLine[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logs.push(JSON.parse(chunk.toString()))
      done()
    },
  })
  if (!isPostgres(database)) for (const url of FAST_STARTS) await import(url)
  const variables = envFor(database, env)
  const app = await createServer(readConfig(variables), {
    env: variables,
    logTo: stream,
    onFatal: (error) => {
      throw error
    },
    passwordCost: PASSWORD_COST,
    connectionLimits,
    pushOptions,
    contract: contractWith(env),
  })
  const stop = () => app.close()
  // Also of a server that cannot listen.
  atTheEnd(t, stop)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, database, logs, stop, operator: app.operator }
}

/**
 * For a start in this process that must fail. Resolves with the message that the program would end with.
 * Tests of the program itself check that it prints only this.
 */
export async function mistakeOf(start: Promise<unknown>): Promise<string> {
  const error = await start.then(
    () => assert.fail('It starts.'),
    (error: unknown) => error,
  )
  const kinds = [ConfigurationError, DatabaseInUse, DatabaseUnusable]
  if (!kinds.some((kind) => error instanceof kind)) throw error
  const { message } = error as Error
  assert.match(message, /^[^{\n][^\n]{10,}$/)
  return message
}

/**
 * One server for many tests, because starting one takes longer than most tests. Call it in a file or in a
 * suite; the server starts when a test first needs it.
 */
export function shareServer(env: Env = {}): () => Promise<StartedServer> {
  let server: Promise<StartedServer> | undefined
  const ending = endOfSuite()
  return () => {
    server ??= startServer(ending, env)
    return server
  }
}

/** The built program as a process of its own, whether it serves or ends. */
export interface Program {
  process: ChildProcess
  logs: LogLine[]
  /** Its output on stderr. */
  errors: () => string
  /** Resolves with the exit code, or the signal that ended it, when its output is complete. */
  exited: Promise<number | string>
  /** Resolves with its address when it listens. */
  listening: Promise<string>
  /** Resolves with the first matching line of the log, past or future. */
  logged: (message: string) => Promise<LogLine>
}

/** @param command what to run instead of the plain program */
export function spawnProgram(
  t: Ending,
  env: Env,
  database: string,
  command: string[] = [process.execPath, PROGRAM],
): Program {
  const [executable = '', ...args] = command
  const child = spawn(executable, args, {
    env: { PATH: process.env['PATH'] ?? '', ...envFor(database, env) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  atTheEnd(t, async () => {
    child.kill('SIGKILL')
    await exited
  })

  const logs: LogLine[] = []
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const lines = createInterface(child.stdout)
  lines.on('line', (text) => logs.push(JSON.parse(text) as LogLine))
  const logged = (message: string) =>
    new Promise<LogLine>((resolve, reject) => {
      const look = () => {
        const line = logs.find(({ msg }) => msg.startsWith(message))
        if (line) resolve(line)
      }
      lines.on('line', look)
      look()
      void exited.then(() => reject(new Error(errors || `It ended before it said "${message}".`)))
    })
  const listening = logged(LISTENING).then(({ msg }) => msg.slice(LISTENING.length))
  // A program that must fail is not awaited.
  listening.catch(() => {})
  return { process: child, logs, errors: () => errors, exited, listening, logged }
}

const LISTENING = 'Server listening at '

export interface ServerProcess extends RunningServer, Program {}

/**
 * Starts the built server as a process of its own, so that a test can kill it or observe it from outside.
 *
 * @throws Error with its stderr, when it ends before it listens
 */
export async function spawnServer(
  t: Ending,
  env: Env = {},
  existing?: string,
  command?: string[],
): Promise<ServerProcess> {
  const database = existing ?? (await newDatabase(t))
  const program = spawnProgram(t, env, database, command)
  const url = await program.listening
  const stop = async () => {
    program.process.kill('SIGTERM')
    await program.exited
  }
  return { ...program, url, database, stop }
}
