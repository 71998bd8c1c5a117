/**
 * Puts what runs in production into a new folder, for the platform and the Node of this one:
 *
 *   npm run bundle -- /app
 *
 * It has what `npm pack` ships, and of the native packages what they need to run.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { main, run } from './run.mjs'

/** Not their sources, and not the packages that install them. */
const NATIVE = {
  'better-sqlite3': ['package.json', 'LICENSE', 'lib', 'build/Release/better_sqlite3.node'],
  bindings: ['package.json', 'LICENSE.md', 'bindings.js'],
  'file-uri-to-path': ['package.json', 'LICENSE', 'index.js'],
  '@node-rs/argon2': ['package.json', 'LICENSE', 'index.js'],
}

// Relative to the folder that the command was given in: run.mjs has left it.
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
  // npm has installed the one for this platform.
  const argon2 = readdirSync('node_modules/@node-rs').filter((name) => name.startsWith('argon2-'))
  return [...ours, ...argon2.map((name) => join('@node-rs', name))].map((path) => join('node_modules', path))
}
