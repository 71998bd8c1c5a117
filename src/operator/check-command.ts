import { once } from 'node:events'
import { createServer } from 'node:net'
import { readEnvironment } from '../config/environment.ts'
import { version } from '../config/version.ts'
import {
  type Config,
  ConfigurationError,
  configFrom,
  configWarnings,
  databaseFile,
  type Environment,
  isPostgres,
  type Setting,
  settingsIn,
} from '../config.ts'
import { listenForScrapes } from '../metrics/metrics-server.ts'
import { checkPrivateFile } from '../private-files.ts'
import { secretFile, vapidFile } from '../secrets.ts'
import { databaseName } from '../start-notice.ts'
import type { Context } from './context.ts'
import { describeError } from './errors.ts'
import { socketOperator } from './socket-operator.ts'
import { isListening, socketPath } from './socket-path.ts'

/** The result of `restante check`. */
interface Report {
  version: string
  settings: Setting[]
  database?: string
  /** Undefined when the database could not be read. */
  migrations?: 'none yet' | 'up to date' | 'a start brings it up to date'
  socket?: string
  /** The version of the running server, if one answers. */
  running?: string
  warnings: string[]
  /** Why a start would be refused, or what is wrong with the running server. */
  refusals: string[]
}

/** `restante check`: checks everything that a start needs, and writes nothing. */
export async function check(context: Context, json: boolean): Promise<void> {
  const environment = readEnvironment(context.terminal.env)
  const report: Report = {
    version: version(),
    settings: settingsIn(environment),
    warnings: [...environment.warnings],
    refusals: [],
  }
  const config = parseConfig(environment, report)
  if (config) {
    report.warnings.push(...configWarnings(config))
    report.database = databaseName(config.databaseUrl)
    await attempt(report, () => findServer(report, config))
    await attempt(report, () => checkMigrations(report, config))
    await attempt(report, async () => {
      if (!isPostgres(config.databaseUrl) && !environment.values['JWT_SECRET'])
        checkPrivateFile(secretFile(config.databaseUrl))
    })
    await attempt(report, async () => {
      const isOn = config.push === 'on' && !isPostgres(config.databaseUrl)
      if (isOn && !environment.values['VAPID_KEYS']) checkPrivateFile(vapidFile(config.databaseUrl))
    })
    // Without a socket, the port may be taken by our own running server.
    if (report.socket !== undefined && report.running === undefined)
      await attempt(report, () => tryPorts(config))
  }
  if (json) context.printJson(report)
  else printReport(context, report)
  if (report.refusals.length > 0) context.exitCode = 1
}

function parseConfig(environment: Environment, report: Report): Config | undefined {
  try {
    return configFrom(environment)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    // The warnings are in the report already.
    report.refusals.push(...error.errors.filter((sentence) => !report.warnings.includes(sentence)))
    return undefined
  }
}

async function attempt(report: Report, step: () => Promise<void>) {
  try {
    await step()
  } catch (error) {
    report.refusals.push(describeError(error))
  }
}

async function findServer(report: Report, config: Config) {
  const path = socketPath(config)
  if (path === undefined) return
  report.socket = path
  if (!(await isListening(path))) return
  const state = await socketOperator(path).call('state')
  report.running = state?.version ?? 'unknown'
}

async function checkMigrations(report: Report, { databaseUrl }: Config) {
  const pending = await (isPostgres(databaseUrl)
    ? pendingInPostgres(databaseUrl)
    : pendingInSqliteFile(report, databaseUrl))
  if (pending === undefined) report.migrations = 'none yet'
  else report.migrations = pending.length === 0 ? 'up to date' : 'a start brings it up to date'
}

async function pendingInPostgres(url: string): Promise<string[] | undefined> {
  const { findMigrations } = await import('../database/postgres/prepare.ts')
  const { pendingMigrations } = await import('../database/migrate.ts')
  const finished = await findMigrations(url)
  return finished && pendingMigrations('postgres', finished)
}

/** A running server holds the lock, so the file is read without it. */
async function pendingInSqliteFile({ running }: Report, url: string): Promise<string[] | undefined> {
  const { inspectSqlite, pendingInSqlite } = await import('../database/sqlite/file/inspect.ts')
  return running === undefined ? inspectSqlite(databaseFile(url)) : pendingInSqlite(databaseFile(url))
}

/** @throws a system error or ConfigurationError when it cannot listen on one of the ports */
async function tryPorts({ host, port, opsPort }: Config) {
  const server = createServer().listen({ host, port })
  await once(server, 'listening')
  // The first stays open, so two settings with the same port are noticed.
  const ops = createServer()
  try {
    if (opsPort !== 'off') await listenForScrapes(ops, opsPort)
  } finally {
    server.close()
    ops.close()
  }
}

function printReport(context: Context, report: Report) {
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
    ...(report.refusals.length > 0 ? [] : [['Result', 'Ready to start.']]),
  ])
}
