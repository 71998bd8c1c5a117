import { networkInterfaces } from 'node:os'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { loadConfig } from './config/environment.ts'
import type { Config } from './config.ts'
import { DatabaseUnusable } from './database/database.ts'
import { wordsOf } from './operator/mistakes.ts'
import { linesOf, startNotice } from './operator/start-notice.ts'
import { version } from './operator/version.ts'
import { createServer } from './server.ts'

/**
 * Parked polls are answered at once, and a batch takes milliseconds. Anything that delays the end longer is
 * cut off.
 */
const CLOSE_MS_MAX = 10_000

/** What people and supervisors stop it with. */
const STOPPING = ['SIGTERM', 'SIGINT'] as const
const SAME_STOP_MS = 1_000

/** Levels of the log at which Fastify says where it listens. */
const SAYS_ADDRESSES = ['info', 'debug', 'trace']

/**
 * Starts the server in this process, which ends with it. Resolves when it listens.
 *
 * @throws ConfigurationError, DatabaseInUse, DatabaseUnusable, UnsafeFile, and errors of the system
 */
export async function start(): Promise<void> {
  const { config, values, warnings } = loadConfig(process.env)
  let log: FastifyBaseLogger | undefined
  const server = await createServer(config, {
    env: values,
    warnings,
    logTo: process.stdout,
    onLoss: (error) => {
      // Before there is a log, it is a start that failed.
      if (!log) console.error(wordsOf(new DatabaseUnusable(`The database is lost: ${error.message}`)))
      log?.fatal(error, 'The database is lost.')
      process.exit(1)
    },
  })
  log = server.log

  const options = { delay: CLOSE_MS_MAX, logger: server.log, skip: [...STOPPING] }
  const ending = closeWithGrace(options, async ({ err }) => {
    if (err) server.log.fatal(err, 'Stopping after a fault.')
    await server.close()
    server.log.info('stopped')
  })
  stopOnSignals(log, ending.close)
  try {
    await listen(server, config)
  } catch (error) {
    await server.close()
    throw error
  }
}

/**
 * The first signal is a stop, and one that comes a second later or more ends the process at once. What comes
 * sooner is the first one again: Ctrl+C reaches all processes of a terminal, and npm hands it on besides.
 */
function stopOnSignals(log: FastifyBaseLogger, close: () => void) {
  let firstMs: number | undefined
  for (const name of STOPPING)
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

/** A terminal gets lines for people in the place of the log's, which name each address. */
async function listen(server: FastifyInstance, config: Config) {
  const { host, port, logLevel } = config
  const forPeople = process.stdout.isTTY && SAYS_ADDRESSES.includes(logLevel)
  if (forPeople) server.log.level = 'warn'
  await server.listen({ host, port })
  server.log.level = logLevel

  const [bound] = server.addresses()
  const boundPort = typeof bound === 'object' ? bound.port : port
  const notice = startNotice(config, version(), boundPort, networkInterfaces())
  if (forPeople) process.stdout.write(linesOf(notice))
  else server.log.info(notice, 'ready')
}
