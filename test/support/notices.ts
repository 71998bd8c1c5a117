import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pathWithCurl } from './stand-ins/stand-ins.ts'

const SCRIPT = fileURLToPath(new URL('../../examples/notify.sh', import.meta.url))

/** A run of examples/notify.sh. */
export interface Notice {
  args: string[]
  env: Record<string, string>
  input?: string
  /** The first folder in PATH. */
  folder?: string
}

/** Runs examples/notify.sh to its end. Resolves with its exit code and its output. */
export async function notify(
  t: TestContext,
  { args, env, input = '', folder }: Notice,
): Promise<{ code: number; said: string }> {
  const path = pathWithCurl(t)
  const child = spawn('sh', [SCRIPT, ...args], {
    env: { PATH: folder === undefined ? path : `${folder}:${path}`, ...env },
  })
  t.after(() => child.kill())
  // It may end before it has read everything.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { code, said }
}
