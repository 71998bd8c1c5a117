/**
 * Runs the tests on both databases at once, or on one: `npm run test:postgres -- test/inbox.test.ts`.
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

/** How many processes run at once. More than there are cores, because tests mostly wait. */
const GROUPS_AT_ONCE = 6

/** Fewer of test/long: each has servers, clusters or a browser of its own, and limits of time. */
const LONG_AT_ONCE = 4

/** How many files share a process, one after the other: loading the server takes longer than most of them. */
const GROUP_FILES = 6

/** Long files that run alone and start first, the longest first. */
const LONG = ['fuzz', 'nodes', 'attacks', 'node-promises', 'sessions', 'command', 'push', 'restore']

const SLOWEST_SHOWN = 10

/** How long the tests of a file may take; then those that still run are cancelled and named. */
const FILE_MS_MAX = 300_000

/** The same for a file of test/long. */
const LONG_MS_MAX = 1_800_000

/** The files that run on one database. */
interface Suite {
  database: 'SQLite' | 'PostgreSQL'
  files: string[]
}

/** Files that share a process. */
interface Group extends Suite {
  name: string
  /** What the process runs. */
  program: string
  /** Groups start in this order. */
  place: number
}

/** Files that run once, with SQLite, and why. */
const ONCE: Record<string, string> = {
  'account-limits': 'has no database',
  addresses: 'is about what a process keeps in memory',
  'presence-publisher': 'has no database',
  alerts: 'has no database',
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
  crash: 'is the short form of crashes in test/long, which runs on both databases',
  config: 'has no database, or is about the files of SQLite',
  'disk-space': 'is about the disk of SQLite',
  deploy: 'is about PostgreSQL',
  durability: 'is about the settings of SQLite',
  examples: 'is about the contract',
  'fault-checker': 'has no database',
  faults: 'is about the locks of SQLite, and its disk',
  fuzz: 'is about HTTP; test/long has it on both databases',
  'generated-clients': 'is about the contract',
  notifications: 'has no database',
  http: 'is about HTTP',
  limits: 'is about what a process keeps in memory',
  'long-poll': 'is about the polls in the memory of a process',
  mailboxes: 'has no database',
  metrics: 'is about what a process counts; in test/long it has both databases itself',
  migrations: 'has both databases itself',
  move: 'has both databases itself',
  'node-faults': 'has a cluster of its own',
  'node-versions': 'is about Node',
  nodes: 'is about PostgreSQL',
  owner: 'is about the attempts that a process counts in memory',
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
  'send-text': 'is about HTTP',
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
const fileMsMax = wanted === 'long' ? LONG_MS_MAX : FILE_MS_MAX
const files = filesOf(wanted, given)
const nameOf = (file: string) => file.replace(/^.*\/|\.test\.ts$/g, '')
const reasonOf = (file: string) => ONCE[nameOf(file)]

// PostgreSQL first: its groups take the longest, and would end alone.
const suites: Suite[] = [
  ...(wanted === 'sqlite' ? [] : [{ database: 'PostgreSQL', files: filesOnBoth() } as const]),
  ...(wanted === 'postgres' ? [] : [{ database: 'SQLite', files } as const]),
]
await compileTests()
// All of them before anything runs: a file that cannot be compiled ends this process.
const groups = (await Promise.all(suites.flatMap(groupsOf))).sort((a, b) => a.place - b.place)
const scratch = mkdtempSync(join(tmpdir(), 'restante-tests-'))
const cluster = await startCluster()
const common = { TEST_CLUSTER: cluster.url, TEST_CLUSTER_FILES: await copyFiles(cluster) }
const envOf: Record<Suite['database'], Record<string, string>> = {
  SQLite: wanted === 'postgres' ? {} : await sqliteEnv(),
  PostgreSQL: wanted === 'sqlite' ? {} : await postgresEnv(),
}
const started = performance.now()
const results = await runAll(groups)

const times = results.flatMap((result) => result.times).sort((a, b) => b.seconds - a.seconds)
if (times.length > SLOWEST_SHOWN) {
  console.log('| seconds | the slowest files |\n| ---: | --- |')
  for (const { seconds, file, database } of times.slice(0, SLOWEST_SHOWN))
    console.log(`| ${seconds} | ${file}, ${database} |`)
}
const failed = results.filter(({ failures }) => failures !== '')
for (const { database, failures } of failed) console.log(`\n== failures on ${database} ==\n\n${failures}`)
const ran = suites
  .filter((suite) => suite.files.length > 0)
  .map(({ database, files }) => `${files.length} files on ${database}`)
  .join(', ')
const seconds = Math.round((performance.now() - started) / 1_000)
if (groups.length > 0)
  console.log(`\n== ${ran}: ${failed.length === 0 ? 'all passed' : 'FAILED'}, in ${seconds} s ==`)
await cluster.stop()
rmSync(scratch, { recursive: true })
process.exit(failed.length > 0 ? 1 : 0)

function filesOf(suite: string, names: string[]): string[] {
  if (suite !== 'long' && names.length > 0) return names
  const folder = suite === 'long' ? 'test/long' : 'test'
  const all = readdirSync(folder).filter((name) => name.endsWith('.test.ts'))
  const chosen = names.length > 0 ? all.filter((file) => names.some((name) => file.includes(name))) : all
  if (chosen.length === 0) throw new Error(`${folder} has no test of that name. It has: ${all.join(', ')}`)
  return chosen.map((name) => join(folder, name))
}

/** Those that run on PostgreSQL, too. Names the others, if the caller named files. */
function filesOnBoth(): string[] {
  const onBoth = files.filter((file) => reasonOf(file) === undefined)
  if (given.length > 0)
    for (const file of files.filter((name) => !onBoth.includes(name)))
      console.log(`${file} runs once, with SQLite: it ${reasonOf(file)}.`)
  return onBoth
}

async function sqliteEnv() {
  const template = join(scratch, 'template.db')
  await migrate(new SqliteAdapter(template))
  // Like a file that a server creates.
  chmodSync(template, 0o600)
  return { TEST_SQLITE: template, ...common }
}

async function postgresEnv() {
  const template = await cluster.createDatabase()
  await migrate(new MigrationAdapter({ connectionString: template }))
  return { TEST_POSTGRES: template, ...common }
}

/** Copies the files of a new cluster, for tests that start their own. */
async function copyFiles(server: Cluster): Promise<string> {
  await server.halt()
  const copy = join(scratch, 'cluster')
  execFileSync('cp', ['-a', server.files, copy])
  await server.start()
  return copy
}

/** Runs the groups in their order, some at once, and prints the output of each when it has ended. */
async function runAll(waiting: Group[]) {
  const next = waiting.values()
  const atOnce = wanted === 'long' ? LONG_AT_ONCE : GROUPS_AT_ONCE
  const runners = Array.from({ length: atOnce }, async () => {
    const done = []
    for (const group of next) done.push(await run(group, waiting.length === 1 ? 'inherit' : 'pipe'))
    return done
  })
  return (await Promise.all(runners)).flat()
}

/** @param output with `inherit` it is printed at once */
async function run({ name, program, database, files }: Group, output: 'inherit' | 'pipe') {
  const report = join(scratch, name)
  const args = [
    ...['--import', './scripts/source-maps.mjs'],
    ...['--test-reporter', 'spec', '--test-reporter-destination', 'stdout'],
    ...['--test-reporter', './scripts/test-report.mjs', '--test-reporter-destination', report],
    program,
  ]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...envOf[database] },
    stdio: ['ignore', output, 'inherit'],
  })
  // Nothing else ends a process whose hook hangs, or that a cancelled test keeps alive.
  const killer = setTimeout(() => child.kill('SIGKILL'), (files.length + 1) * fileMsMax)
  const printed = child.stdout ? text(child.stdout) : ''
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  clearTimeout(killer)
  console.log(await printed)
  // A process that cannot load its tests writes no report.
  const lines = existsSync(report)
    ? readFileSync(report, 'utf8').split('\n').filter(Boolean).map(readReport)
    : []
  const failures = lines.flatMap((line) => ('failure' in line ? [line.failure] : []))
  if (code !== 0)
    failures.push(`The process ended with ${code ?? signal}: ${files.join(', ')} on ${database}\n`)
  const times = lines.flatMap((line) => ('file' in line ? [{ ...line, database }] : []))
  // A process may end with 0 before its tests do.
  const unfinished = files.filter((name) => !times.some(({ file }) => file === name))
  if (unfinished.length > 0)
    failures.push(
      `Not finished on ${database}: ${unfinished.join(', ')}\nBegun: ${notEnded(lines).join(' > ')}\n`,
    )
  return { database, times, failures: failures.join('') }
}

/** Groups the files that share a process, and compiles them. Those of test/long and `LONG` run alone. */
function groupsOf({ database, files: all }: Suite): Promise<Group>[] {
  const rank = (file: string) => LONG.indexOf(nameOf(file))
  const isAlone = (file: string) => file.startsWith('test/long/') || rank(file) >= 0
  const others = all.filter((file) => !isAlone(file))
  const count = Math.ceil(others.length / GROUP_FILES)
  const groupOf = async (files: string[], place: number): Promise<Group> => {
    const name = `${database}-${nameOf(files[0] ?? '')}`
    return { name, program: await compileGroup(name, files, fileMsMax), database, files, place }
  }
  return [
    ...all.filter(isAlone).map((file) => groupOf([file], rank(file))),
    // Deal them out, because files with similar names take about as long.
    ...Array.from({ length: count }, (_, i) =>
      groupOf(
        others.filter((_file, n) => n % count === i),
        LONG.length,
      ),
    ),
  ]
}

type ReportLine =
  | { failure: string }
  | { file: string; seconds: number }
  | { begun: string }
  | { ended: string }

function readReport(line: string): ReportLine {
  return JSON.parse(line)
}

/** The suites and tests that have begun and not ended, from the outermost on. */
function notEnded(lines: ReportLine[]): string[] {
  const open: string[] = []
  for (const line of lines)
    if ('begun' in line) open.push(line.begun)
    else if ('ended' in line && open.includes(line.ended)) open.splice(open.lastIndexOf(line.ended), 1)
  return open
}
