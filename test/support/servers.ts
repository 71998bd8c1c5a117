import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { after, type TestContext } from 'node:test'
import { createServer, readConfig } from './built.ts'

export type Env = Record<string, string>

/** A line of the server's log. */
export interface LogLine {
  level: number
  msg: string
  [key: string]: unknown
}

export interface RunningServer {
  url: string
  /** The SQLite file. */
  file: string
  logs: LogLine[]
  /** Stops it in good order; called by the test's end, if not before. */
  stop: () => Promise<void>
}

/** A test, or whatever else tells when it is over. */
type Ending = Pick<TestContext, 'after'>

/** A folder that goes with the test. */
export function scratchFolder(t: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'restante-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** What every test server runs with, unless the test says otherwise: a port of its own, a file of its own. */
const envFor = (file: string, env: Env): Env => ({
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: `file:${file}`,
  RATE_LIMITS: 'off',
  ...env,
})

/**
 * Starts the service in this process, on a real port.
 *
 * @param env variables that differ from the defaults
 * @param file an existing database to go on with
 */
export async function startServer(
  t: Ending,
  env: Env = {},
  file = join(scratchFolder(t), 'restante.db'),
): Promise<RunningServer> {
  const logs: LogLine[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logs.push(JSON.parse(chunk.toString()))
      done()
    },
  })
  const variables = envFor(file, env)
  const app = await createServer(readConfig(variables), {
    env: variables,
    logTo: stream,
    onLoss: (error) => {
      throw error
    },
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const stop = () => app.close()
  t.after(stop)
  return { url, file, logs, stop }
}

/**
 * One server for many tests, because to start one takes longer than most of them. Called in the file itself,
 * or in a suite; it starts when a test first asks for it.
 */
export function shareServer(env: Env = {}): () => Promise<RunningServer> {
  const endings: (() => unknown)[] = []
  let server: Promise<RunningServer> | undefined
  after(async () => {
    for (const end of endings.reverse()) await end()
  })
  return () => {
    server ??= startServer({ after: (end) => endings.push(end as () => unknown) }, env)
    return server
  }
}

/** The built program as a process of its own, whatever may come of it. */
export interface Program {
  process: ChildProcess
  logs: LogLine[]
  /** What it has written to stderr. */
  errors: () => string
  /** Resolves with the exit code, or the signal that ended it, when all that it wrote is here. */
  exited: Promise<number | string>
  /** Resolves with its address when it listens. */
  listening: Promise<string>
  /** Resolves with the first line of the log, past or to come, that says so. */
  logged: (message: string) => Promise<LogLine>
}

/** @param command what to run instead of the plain program */
export function spawnProgram(
  t: Ending,
  env: Env,
  file: string,
  command: string[] = [process.execPath, 'dist/main.js'],
): Program {
  const [executable = '', ...args] = command
  const child = spawn(executable, args, {
    env: { PATH: process.env['PATH'] ?? '', ...envFor(file, env) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  t.after(async () => {
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
  // One that is to fail is not waited for.
  listening.catch(() => {})
  return { process: child, logs, errors: () => errors, exited, listening, logged }
}

const LISTENING = 'Server listening at '

export interface ServerProcess extends RunningServer, Program {}

/**
 * Starts the built server as a process of its own, to be killed or to be watched from outside.
 *
 * @throws Error with what it wrote to stderr, when it ends before it listens
 */
export async function spawnServer(
  t: Ending,
  env: Env = {},
  file = join(scratchFolder(t), 'restante.db'),
  command?: string[],
): Promise<ServerProcess> {
  const program = spawnProgram(t, env, file, command)
  const url = await program.listening
  const stop = async () => {
    program.process.kill('SIGTERM')
    await program.exited
  }
  return { ...program, url, file, stop }
}
