import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/** Runs a script of this package to its end. Resolves with its exit code and its output. */
export async function runScript(
  t: TestContext,
  args: string[],
): Promise<{ code: number | null; output: string }> {
  // The script is no test of the process to which this one reports.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill())
  const [written, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { code, output: written + errors }
}
