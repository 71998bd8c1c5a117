import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { type Config, ConfigurationError, readConfig } from './config.ts'
import { DatabaseUnusable } from './database/database.ts'
import { endWith } from './operator/mistakes.ts'
import { linesOf, startNotice } from './operator/start-notice.ts'
import { makeFilesPrivate } from './private-files.ts'
import { createServer } from './server.ts'

/**
 * Parked polls are answered at once and a batch takes milliseconds; whoever holds up the end for longer is
 * cut off.
 */
const CLOSE_MS_MAX = 10_000

/** Levels of the log at which Fastify says where it listens. */
const SAYS_ADDRESSES = ['info', 'debug', 'trace']

const NODE_MIN = [20, 19] as const

// Polls that wait teach V8 that requests live long. It then puts those of sends, too, where only a full
// collection finds them, and a send takes up to a third more processor time: bench/README.md.
setFlagsFromString('--no-allocation-site-pretenuring')

makeFilesPrivate()

try {
  refuseOldNode()
  refuseArguments(process.argv.slice(2))
  const config = readConfig(process.env)
  let log: FastifyBaseLogger | undefined
  const server = await createServer(config, {
    env: process.env,
    logTo: process.stdout,
    onLoss: (error) => {
      // Before there is a log, it is a start that failed.
      if (!log) endWith(new DatabaseUnusable(`The database is lost: ${error.message}`))
      log.fatal(error, 'The database is lost.')
      process.exit(1)
    },
  })
  log = server.log

  closeWithGrace({ delay: CLOSE_MS_MAX, logger: server.log }, async ({ signal, err }) => {
    if (err) server.log.fatal(err, 'Stopping after a fault.')
    else server.log.info({ signal }, 'stopping')
    await server.close()
    server.log.info('stopped')
  })
  await listen(server, config)
} catch (error) {
  endWith(error)
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
  const notice = startNotice(config, readVersion(), boundPort, networkInterfaces())
  if (forPeople) process.stdout.write(linesOf(notice))
  else server.log.info(notice, 'ready')
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** package.json says the same, but npm only warns. */
function refuseOldNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return
  throw new ConfigurationError([
    `Restante needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}.`,
  ])
}

/** An option that is ignored in silence would be believed to hold. */
function refuseArguments(given: string[]) {
  if (given.length === 0) return
  throw new ConfigurationError(
    given.map(
      (argument) =>
        `${JSON.stringify(argument)} is not known: the server takes no arguments, but environment variables (README.md, "Configuration").`,
    ),
  )
}
