/**
 * Copies the files that run in production to a new folder, for this platform and version of Node:
 *
 *   npm run bundle -- /app
 *
 * The files of `npm pack`, and the runtime files of the native packages.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { main, run } from './run.mjs'

/** The runtime files of the native packages, without their sources and installers. */
const NATIVE = {
  'better-sqlite3': ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node'],
  bindings: ['package.json', 'LICENSE.md', 'bindings.js'],
  'file-uri-to-path': ['package.json', 'LICENSE', 'index.js'],
  '@node-rs/argon2': ['package.json', 'LICENSE', 'index.js'],
}

// Relative to the caller's folder: run.mjs has changed it.
const target = process.argv[2] && resolve(process.env['INIT_CWD'] ?? '.', process.argv[2])

await main(async () => {
  if (!target) throw new Error('Usage: npm run bundle -- FOLDER')
  if (existsSync(target) && readdirSync(target).length > 0) throw new Error(`${target} is not empty.`)
  await run('node scripts/build.mjs --if-stale')
  for (const path of [...packed(), ...native()]) cpSync(path, join(target, path), { recursive: true })
})

/** @returns {string[]} */
function packed() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const list = JSON.parse(
    execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  )
  return list[0].files.map((/** @type {{ path: string }} */ { path }) => path)
}

function native() {
  const ours = Object.entries(NATIVE).flatMap(([name, files]) => files.map((file) => join(name, file)))
  // npm has installed only the one for this platform.
  const argon2 = readdirSync('node_modules/@node-rs').filter((name) => name.startsWith('argon2-'))
  return [...ours, ...argon2.map((name) => join('@node-rs', name))].map((path) => join('node_modules', path))
}
