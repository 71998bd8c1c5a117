import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
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

/** A folder that goes with the test. */
export function scratchFolder(t: TestContext): string {
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
  t: TestContext,
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

export interface ServerProcess extends RunningServer {
  process: ChildProcess
  /** Resolves with the exit code, or the signal that ended it. */
  exited: Promise<number | string>
}

/**
 * Starts the built server as a process of its own, to be killed or to be watched from outside.
 *
 * @throws Error with what it wrote to stderr, when it ends before it listens
 */
export async function spawnServer(
  t: TestContext,
  env: Env = {},
  file = join(scratchFolder(t), 'restante.db'),
): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: { PATH: process.env['PATH'] ?? '', ...envFor(file, env) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
  })

  const logs: LogLine[] = []
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (text) => {
      const line = JSON.parse(text) as LogLine
      logs.push(line)
      const [, address] = /listening at (\S+)/.exec(line.msg) ?? []
      if (address) resolve(address)
    })
    void once(child, 'close').then(() => reject(new Error(errors)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  return { url, file, logs, stop, process: child, exited }
}
