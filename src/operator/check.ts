import { once } from 'node:events'
import { createServer } from 'node:net'
import { readEnvironment } from '../config/environment.ts'
import {
  type Config,
  ConfigurationError,
  configFrom,
  databaseFile,
  doubtsAbout,
  type Environment,
  isPostgres,
  type Setting,
  settingsIn,
} from '../config.ts'
import { checkPrivateFile } from '../private-files.ts'
import { secretFile, vapidFile } from '../secrets.ts'
import type { Context } from './context.ts'
import { listenForScrapes } from './metrics-server.ts'
import { wordsOf } from './mistakes.ts'
import { isAnswered, socketPath } from './place.ts'
import { socketOperator } from './socket-operator.ts'
import { nameOf } from './start-notice.ts'
import { version } from './version.ts'

/** What a start would find. */
interface Report {
  version: string
  settings: Setting[]
  database?: string
  /** Undefined when it could not be read. */
  migrations?: 'none yet' | 'up to date' | 'a start brings it up to date'
  socket?: string
  /** The version of the server that runs, when one answers. */
  running?: string
  warnings: string[]
  /** Why a start would be refused, or a running server is no good. */
  refusals: string[]
}

/** Looks at everything that a start needs, and writes nothing. */
export async function check(context: Context, json: boolean): Promise<void> {
  const environment = readEnvironment(context.terminal.env)
  const report: Report = {
    version: version(),
    settings: settingsIn(environment),
    warnings: [...environment.warnings],
    refusals: [],
  }
  const config = configIn(environment, report)
  if (config) {
    report.warnings.push(...doubtsAbout(config))
    report.database = nameOf(config.databaseUrl)
    await attempt(report, () => lookForServer(report, config))
    await attempt(report, () => lookAtDatabase(report, config))
    await attempt(report, async () => {
      if (!isPostgres(config.databaseUrl) && !environment.values['JWT_SECRET'])
        checkPrivateFile(secretFile(config.databaseUrl))
    })
    await attempt(report, async () => {
      const isOn = config.push === 'on' && !isPostgres(config.databaseUrl)
      if (isOn && !environment.values['VAPID_KEYS']) checkPrivateFile(vapidFile(config.databaseUrl))
    })
    // Without a socket a server of ours may be what has the port.
    if (report.socket !== undefined && report.running === undefined)
      await attempt(report, () => tryPorts(config))
  }
  if (json) context.printJson(report)
  else show(context, report)
  if (report.refusals.length > 0) context.exitCode = 1
}

function configIn(environment: Environment, report: Report): Config | undefined {
  try {
    return configFrom(environment)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    // Its warnings are there already.
    report.refusals.push(...error.mistakes.filter((mistake) => !report.warnings.includes(mistake)))
    return undefined
  }
}

async function attempt(report: Report, look: () => Promise<void>) {
  try {
    await look()
  } catch (error) {
    report.refusals.push(wordsOf(error))
  }
}

async function lookForServer(report: Report, config: Config) {
  const path = socketPath(config)
  if (path === undefined) return
  report.socket = path
  if (!(await isAnswered(path))) return
  const state = await socketOperator(path).call('state')
  report.running = state?.version ?? 'unknown'
}

async function lookAtDatabase(report: Report, { databaseUrl }: Config) {
  const pending = await (isPostgres(databaseUrl) ? inPostgres(databaseUrl) : inSqlite(report, databaseUrl))
  if (pending === undefined) report.migrations = 'none yet'
  else report.migrations = pending.length === 0 ? 'up to date' : 'a start brings it up to date'
}

async function inPostgres(url: string): Promise<string[] | undefined> {
  const { findMigrations } = await import('../database/postgres/prepare.ts')
  const { pendingMigrations } = await import('../database/migrate.ts')
  const finished = await findMigrations(url)
  return finished && pendingMigrations('postgres', finished)
}

/** A running server holds the file, as it should. */
async function inSqlite({ running }: Report, url: string): Promise<string[] | undefined> {
  const { inspectSqlite, pendingInSqlite } = await import('../database/sqlite/file/inspect.ts')
  return running === undefined ? inspectSqlite(databaseFile(url)) : pendingInSqlite(databaseFile(url))
}

/** @throws the error of the system, or ConfigurationError, when one of them cannot be listened on */
async function tryPorts({ host, port, opsPort }: Config) {
  const server = createServer().listen({ host, port })
  await once(server, 'listening')
  // While the first one is open, because at a start they are two.
  const ops = createServer()
  try {
    if (opsPort !== 'off') await listenForScrapes(ops, opsPort)
  } finally {
    server.close()
    ops.close()
  }
}

function show(context: Context, report: Report) {
  const { database, migrations, running, settings, socket } = report
  context.printTable([
    ['SETTING', 'VALUE', 'FROM'],
    ...settings.map(({ name, value, source }) => [name, value, source]),
  ])
  const server = running === undefined ? 'not running' : `running, version ${running}`
  context.printTable([
    [],
    ['Version', report.version],
    ...(database === undefined ? [] : [['Database', database]]),
    ...(migrations === undefined ? [] : [['Migrations', migrations]]),
    ...(socket === undefined ? [] : [['Socket', socket]]),
    ...(socket === undefined ? [] : [['Server', server]]),
    ...report.warnings.map((warning) => ['Warning', warning]),
    ...report.refusals.map((refusal) => ['Refused', refusal]),
    ...(report.refusals.length > 0 ? [] : [['Result', 'A start finds what it needs.']]),
  ])
}
