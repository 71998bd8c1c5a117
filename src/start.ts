import { networkInterfaces } from 'node:os'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { loadConfig } from './config/environment.ts'
import { version } from './config/version.ts'
import type { Config } from './config.ts'
import { DatabaseUnusable } from './database/database.ts'
import { describeError } from './operator/errors.ts'
import { createServer } from './server.ts'
import { formatStartNotice, startNotice } from './start-notice.ts'

/**
 * Shutdown answers parked polls at once, and a batch takes milliseconds. Anything that delays it longer than
 * this is cut off.
 */
const CLOSE_MS_MAX = 10_000

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const
const SAME_STOP_MS = 1_000

/** Log levels at which Fastify logs its addresses. */
const LEVELS_WITH_ADDRESSES = ['info', 'debug', 'trace']

/**
 * Starts the server in this process, which exits when the server stops. Resolves when it listens.
 *
 * @throws ConfigurationError, DatabaseInUse, DatabaseUnusable, UnsafeFile, system errors
 */
export async function start(): Promise<void> {
  const { config, values, warnings } = loadConfig(process.env)
  let log: FastifyBaseLogger | undefined
  const server = await createServer(config, {
    env: values,
    warnings,
    logTo: process.stdout,
    onFatal: (error) => {
      // Without a log the start is not finished, so it has failed.
      if (!log) console.error(describeError(new DatabaseUnusable(`The database is lost: ${error.message}`)))
      log?.fatal(error, 'The database is lost.')
      process.exit(1)
    },
  })
  log = server.log

  const options = { delay: CLOSE_MS_MAX, logger: server.log, skip: [...STOP_SIGNALS] }
  const shutdown = closeWithGrace(options, async ({ err }) => {
    if (err) server.log.fatal(err, 'Stopping after an unexpected error.')
    await server.close()
    server.log.info('stopped')
  })
  stopOnSignals(log, shutdown.close)
  try {
    await listen(server, config)
  } catch (error) {
    await server.close()
    throw error
  }
}

/**
 * The first signal stops the server; a second one after at least a second exits at once. An earlier one
 * counts as a repeat of the first: Ctrl+C reaches all processes of a terminal, and npm forwards it too.
 */
function stopOnSignals(log: FastifyBaseLogger, close: () => void) {
  let firstMs: number | undefined
  for (const name of STOP_SIGNALS)
    process.on(name, (signal) => {
      if (firstMs === undefined) {
        firstMs = performance.now()
        log.info({ signal }, 'stopping')
        close()
      } else if (performance.now() - firstMs >= SAME_STOP_MS) {
        log.error(`second ${signal}, exiting`)
        process.exit(1)
      }
    })
}

/** On a terminal, prints the start notice for people instead of Fastify's log lines. */
async function listen(server: FastifyInstance, config: Config) {
  const { host, port, logLevel } = config
  const forPeople = process.stdout.isTTY && LEVELS_WITH_ADDRESSES.includes(logLevel)
  if (forPeople) server.log.level = 'warn'
  await server.listen({ host, port })
  server.log.level = logLevel

  const [bound] = server.addresses()
  const boundPort = typeof bound === 'object' ? bound.port : port
  const notice = startNotice(config, version(), boundPort, networkInterfaces())
  if (forPeople) process.stdout.write(formatStartNotice(notice))
  else server.log.info(notice, 'ready')
}
