import { exec } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

/** No tool phones home or advertises its next version. */
const QUIET = {
  CHECKPOINT_DISABLE: '1',
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
}

/**
 * Runs a tool of node_modules and keeps what it prints to itself, unless it fails.
 *
 * @param {string} command
 * @param {Record<string, string>} [env]
 */
export function run(command, env) {
  const PATH = join(root, 'node_modules', '.bin') + delimiter + process.env['PATH']
  return new Promise((resolve, reject) => {
    exec(command, { env: { ...process.env, ...QUIET, ...env, PATH } }, (error, stdout, stderr) => {
      if (!error) return resolve(undefined)
      reject(new Error(`\`${command}\` failed:\n${stdout}${stderr}`))
    })
  })
}

/**
 * Whether an output is missing or older than one of its inputs. A folder counts with all that is in it, and
 * with itself, so that a removed file is noticed.
 *
 * @param {string} output
 * @param {string[]} inputs
 */
export function isStale(output, inputs) {
  const built = statSync(output, { throwIfNoEntry: false })
  return !built || inputs.some((input) => newestMs(input) > built.mtimeMs)
}

/**
 * @param {string} path
 * @returns {number}
 */
function newestMs(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  const children = readdirSync(path).map((name) => join(path, name))
  return Math.max(stat.mtimeMs, ...children.filter((child) => !GENERATED.includes(child)).map(newestMs))
}

const GENERATED = [join('src', 'generated'), join('client', 'src', 'generated')]

/**
 * Runs a script's work; a failure is printed without the stack of the script.
 *
 * @param {() => Promise<void>} work
 */
export async function main(work) {
  try {
    await work()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
