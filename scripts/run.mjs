/** What the scripts share: they run tools of node_modules in the root of the repository. */
import { exec } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

/** Disables telemetry and update notices. */
const QUIET = {
  CHECKPOINT_DISABLE: '1',
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
}

/** First TypeScript 7, for its `tsc`: package typescript is 6, the last with the API that others import. */
const TOOLS = ['typescript-7/bin', '.bin'].map((folder) => join(root, 'node_modules', folder))

/**
 * Runs a tool of node_modules. Shows its output only if it fails.
 *
 * @param {string} command
 * @param {Record<string, string>} [env]
 */
export function run(command, env) {
  const PATH = [...TOOLS, process.env['PATH']].join(delimiter)
  return new Promise((resolve, reject) => {
    exec(command, { env: { ...process.env, ...QUIET, ...env, PATH } }, (error, stdout, stderr) => {
      if (!error) return resolve(undefined)
      reject(new Error(`\`${command}\` failed:\n${stdout}${stderr}`))
    })
  })
}

/**
 * Whether an output is missing or older than an input. For a folder, its own date counts too, so a removed
 * file is noticed.
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
 * Runs a script. Prints a failure without the stack.
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
