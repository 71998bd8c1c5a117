/**
 * Runs the tests on both databases, or on one: `npm run test:postgres -- test/long-poll.test.ts`. What the
 * service promises holds on both, so every file runs on both, but for those that are listed here.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '../src/database/migrate.ts'
import { MigrationAdapter } from '../src/database/postgres/migration-adapter.ts'
import { startCluster } from '../test/support/postgres.ts'

/** What runs once, with the first database, and why. */
const ONCE: Record<string, string> = {
  announcements: 'has no database',
  'chat-example': 'is about a shell script',
  checkpoints: 'is about the write-ahead log of SQLite',
  'commit-queue': 'has no database',
  config: 'has no database, or is about the files of SQLite',
  deploy: 'has a cluster of its own',
  durability: 'is about the settings of SQLite',
  failover: 'has clusters of its own',
  'fault-checker': 'has no database',
  faults: 'is about the locks of SQLite, and its disk',
  hearing: 'has no database',
  'inbox-index': 'is about the statements of SQLite',
  migrations: 'has both databases itself',
  move: 'has both databases itself',
  'node-faults': 'has a cluster of its own',
  nodes: 'has a cluster of its own',
  pages: 'is about the statements of SQLite',
  'node-promises': 'has a cluster of its own',
  'postgres-connections': 'has a cluster of its own',
  'postgres-purge': 'has a cluster of its own',
  'postgres-start': 'has a cluster of its own',
  process: 'is about the files of SQLite',
  readme: 'is about the commands in README',
  'session-memory': 'has no database',
  tidy: 'reads the sources',
  waiters: 'has no database',
}

const [wanted = 'both', ...files] = process.argv.slice(2)
const all = readdirSync('test').filter((name) => name.endsWith('.test.ts'))
const named = files.length > 0 ? files : all.map((name) => `test/${name}`)
const reasonOf = (file: string) => ONCE[file.replace(/^.*\/|\.test\.ts$/g, '')]

let failed = false
let failures = ''
if (wanted !== 'postgres') await run('SQLite', named, {})
if (wanted !== 'sqlite') {
  const cluster = await startCluster()
  try {
    const template = await cluster.createDatabase()
    await migrate(new MigrationAdapter({ connectionString: template }))
    const onBoth = named.filter((file) => reasonOf(file) === undefined)
    for (const file of named)
      if (!onBoth.includes(file)) console.log(`${file} runs once: it ${reasonOf(file)}.`)
    await run('PostgreSQL', onBoth, { TEST_POSTGRES: template })
  } finally {
    await cluster.stop()
  }
}

if (failures) console.log(`== what failed ==\n\n${failures}`)
// Said outright: the package that starts PostgreSQL ends the process with 0, whatever exitCode says.
process.exit(failed ? 1 : 0)

async function run(database: string, testFiles: string[], env: Record<string, string>) {
  if (testFiles.length === 0) return
  console.log(`\n== ${testFiles.length} files of tests on ${database} ==\n`)
  const started = performance.now()
  const reportFile = join(tmpdir(), `restante-failed-tests-${process.pid}.txt`)
  const reporters = [
    ...['--test-reporter', 'spec', '--test-reporter-destination', 'stdout'],
    ...['--test-reporter', './scripts/failed-tests.mjs', '--test-reporter-destination', reportFile],
  ]
  const args = ['--import', 'tsx', '--test', ...reporters, ...testFiles]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  const seconds = Math.round((performance.now() - started) / 1_000)
  console.log(`\n== on ${database}: ${code === 0 ? 'all passed' : 'FAILED'}, in ${seconds} s ==\n`)
  if (code !== 0) failed = true
  const report = readFileSync(reportFile, 'utf8')
  if (report) failures += `On ${database}:\n\n${report}`
  rmSync(reportFile)
}
