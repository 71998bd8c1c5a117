import { PassThrough, Readable } from 'node:stream'
import { PASSWORD_COST } from './accounts.ts'
import { isPostgres, runCommand } from './built.ts'
import type { Env } from './servers.ts'

/** The output and the exit code of a run of the command `restante`. */
export interface Said {
  code: number | undefined
  stdout: string
  stderr: string
}

export interface Given {
  env?: Env
  /** The standard input. */
  input?: string | Buffer
  /** Lines typed at a terminal, each at its prompt. */
  typed?: readonly string[]
}

/** The secret of all nodes in tests. */
const JWT_SECRET = 'a secret that all test servers have'

/** The settings with which a command finds the server of that database, or the database. */
export const commandEnv = (database: string): Env => ({
  DATABASE_URL: database,
  ...(isPostgres(database) && { JWT_SECRET }),
})

/** Runs the command `restante` in this process, which takes a tenth of the time of a process of its own. */
export async function restante(database: string, args: string[], given: Given = {}): Promise<Said> {
  const [stdout, stderr] = [recorder(), recorder()]
  const stdin = given.typed ? terminalWith(given.typed, stderr.stream) : Readable.from([given.input ?? ''])
  const code = await runCommand(args, {
    env: { ...commandEnv(database), ...given.env },
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    start: async () => {
      throw new Error('A server is not started in the process of a test.')
    },
    passwordCost: PASSWORD_COST,
  })
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

/** The same, for a run that must exit with 0. Otherwise rejects with its output. */
export async function runRestante(database: string, args: string[], given: Given = {}): Promise<Said> {
  const said = await restante(database, args, given)
  if (said.code === 0) return said
  throw Object.assign(new Error(`restante ${args.join(' ')}: ${said.stderr}`), said)
}

function recorder() {
  const stream = new PassThrough()
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return { stream, text: () => text }
}

/** A terminal as a program sees it: keys arrive one by one, and the program has to echo them. */
function terminalWith(lines: readonly string[], asks: PassThrough) {
  const keys = Object.assign(new PassThrough(), { isTTY: true, isRaw: false, setRawMode: () => keys })
  const left = [...lines]
  asks.on('data', (chunk: Buffer) => {
    if (!/: $/.test(chunk.toString())) return
    const line = left.shift()
    if (line !== undefined) keys.write(line)
  })
  return keys
}
