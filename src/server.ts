import { networkInterfaces } from 'node:os'
import jwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import { Accounts } from './accounts/accounts.ts'
import { Administration } from './accounts/administration.ts'
import { ApplicationTokens } from './accounts/application-tokens.ts'
import { Blocks } from './accounts/blocks.ts'
import { Invites } from './accounts/invites.ts'
import { KnownAddresses } from './accounts/known-addresses.ts'
import { OwnSessions } from './accounts/own-sessions.ts'
import { Passwords } from './accounts/passwords.ts'
import { Registrations } from './accounts/registrations.ts'
import { Sessions } from './accounts/sessions.ts'
import { jwtOptions, Tokens } from './accounts/tokens.ts'
import { ClockHistory } from './clock.ts'
import { version } from './config/version.ts'
import { type Config, configWarnings, databaseFile, isPostgres } from './config.ts'
import { bind } from './contract/bind.ts'
import { readContract } from './contract/document.ts'
import { bodyCheck } from './contract/validation.ts'
import { lastBackupMs } from './database/sqlite/file/backup-note.ts'
import { serveContract } from './http/api-reference.ts'
import { createApp } from './http/app.ts'
import { authenticate } from './http/authenticate.ts'
import { allowOrigins } from './http/cors.ts'
import { closeGracefully } from './http/graceful-close.ts'
import { acceptJson } from './http/json-body.ts'
import { replyWithProblems } from './http/problem-replies.ts'
import { RequestCounts } from './http/request-counts.ts'
import { serveWebPage } from './http/web-page.ts'
import { Inbox } from './inbox/inbox.ts'
import { Mailboxes } from './inbox/mailboxes.ts'
import { startRetention } from './inbox/retention.ts'
import { AccountLimits } from './limits/account-limits.ts'
import { type DiskLog, DiskSpace, freeSpace } from './limits/disk-space.ts'
import { RateLimits } from './limits/rate-limits.ts'
import { ReadBudget } from './limits/read-budget.ts'
import { Metrics } from './metrics/metrics.ts'
import { type MetricsServer, serveMetrics } from './metrics/metrics-server.ts'
import { Lease } from './nodes/lease.ts'
import { Nodes } from './nodes/nodes.ts'
import { openDatabase } from './open-database.ts'
import { openPush } from './open-push.ts'
import { handlers } from './operations/index.ts'
import { socketPath } from './operator/socket-path.ts'
import { commandRoutes, metricsRoutes } from './operator/socket-routes.ts'
import { closeOperatorServer, listenOnSocket, operatorServer } from './operator/socket-server.ts'
import type { OperatorServices, ServerState } from './operator/verbs.ts'
import { Presence } from './presence.ts'
import { Hints } from './push/hints.ts'
import { Subscriptions } from './push/subscriptions.ts'
import { readSecrets, secretFile } from './secrets.ts'
import type { ServerOptions } from './server-options.ts'
import { startNotice } from './start-notice.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What the operator's commands do, on this running server. */
    operator: OperatorServices & { metrics: Metrics }
  }
}

/**
 * Puts the service together, ready to listen. Closing it answers the parked polls, finishes what is under way
 * and closes the database.
 *
 * @throws ConfigurationError, DatabaseInUse
 */
export async function createServer(
  config: Config,
  { env, warnings = [], logTo, onFatal, ...testing }: ServerOptions,
): Promise<FastifyInstance> {
  const requests = new RequestCounts()
  const app = createApp(config, logTo, requests, testing.connectionLimits)
  for (const warning of [...warnings, ...configWarnings(config)]) app.log.warn(warning)
  // The database opens while everything else is prepared.
  const [{ database, shared }, contract] = await Promise.all([
    openDatabase(config, app.log, onFatal),
    prepareHttp(app, config, requests, testing.contract),
  ])
  const secrets = await orClose(database, () =>
    readSecrets(env, secretFile(config.databaseUrl), (message) => app.log.warn(message)),
  )
  const push = await orClose(database, () => openPush(config, env, app.log, testing.pushOptions))
  await app.register(jwt, jwtOptions(secrets.jwt[0]))

  const history = new ClockHistory(shared?.clock ?? Date.now)
  const clock = history.now
  const presence = new Presence(config.presenceGraceMs, clock, shared)
  const mailboxes = new Mailboxes(clock)
  const tokens = new Tokens(app.jwt, secrets.jwt, config, clock)
  const lease = shared && new Lease()
  const sessions = new Sessions(database, tokens, presence, mailboxes, config, clock, lease)
  const accountLimits = new AccountLimits(config.rateLimits === 'on')
  const applicationTokens = new ApplicationTokens(database, accountLimits, clock, lease)
  const local = { mailboxes, presence, sessions, applicationTokens }
  const nodes = lease && new Nodes(shared, local, lease, app.log)
  const budget = new ReadBudget(config.rateLimits === 'on')
  const hints =
    push &&
    new Hints(database, push.sender, { presence, sessions }, clock, {
      onFault: (error) => app.log.error(error, 'A push hint failed.'),
      rateLimits: config.rateLimits === 'on',
      times: push.hintTimes,
    })
  const inbox = new Inbox(database, mailboxes, presence, history, config, budget, nodes, hints)
  const passwords = new Passwords(testing.passwordCost)
  const accounts = new Accounts(database, passwords, sessions, applicationTokens, clock)
  const invites = new Invites(database, clock)
  const registrations = new Registrations(accounts, invites, accountLimits, config)
  const administration = new Administration(database, passwords, bodyCheck(contract, 'register'), clock, {
    ...local,
    inbox,
  })
  const knownAddresses = new KnownAddresses(database, secrets.jwt, clock)
  const blocks = new Blocks(database, clock)
  const subscriptions = new Subscriptions(database, push?.keys, config.pushAllowPrivate === 'on', clock)
  const ownSessions = new OwnSessions(database, sessions, inbox, clock)
  const disk = await watchDisk(config, app.log)
  const metrics = new Metrics({
    version: version(),
    requests,
    inbox,
    mailboxes,
    presence,
    passwords,
    push: push?.sender,
    disk,
    lastBackupMs: shared ? undefined : () => lastBackupMs(databaseFile(config.databaseUrl)),
  })
  app.decorate('operator', { administration, invites, metrics })
  const limits = new RateLimits(config.rateLimits === 'on')
  const onFault = (error: unknown) => app.log.error(error, 'The purge failed.')
  const stopRetention = startRetention(database, inbox, config, history, onFault)

  const services = {
    accounts,
    registrations,
    knownAddresses,
    blocks,
    disk,
    sessions,
    ownSessions,
    applicationTokens,
    subscriptions,
    inbox,
    presence,
    limits,
    accountLimits,
    database,
    version: version(),
  }
  bind(app, contract, handlers(services), authenticate(sessions, applicationTokens))
  const routes = { ...commandRoutes(app.operator, () => stateOf(app, config)), ...metricsRoutes(metrics) }
  const operatorSocket = operatorServer(routes, app.log)
  if (config.opsPort !== 'off') listenForScrapes(app, metrics, config.opsPort)
  closeGracefully(
    app,
    () => {
      presence.close()
      mailboxes.close()
    },
    async () => {
      // Before the database closes, so running commands finish.
      await closeOperatorServer(operatorSocket)
      disk?.stop()
      await stopRetention()
      try {
        await inbox.flushed()
      } finally {
        await hints?.close()
        // Even if the last batch failed: terminating the database thread inside a statement aborts the
        // process.
        await nodes?.stop()
        await database.close()
      }
    },
  )
  // Last, while we hold the database: a socket found here belongs to a killed server.
  await orClose(app, async () => {
    const path = socketPath(config)
    if (path !== undefined) await listenOnSocket(operatorSocket, path)
  })
  return app
}

/** For commands, which may run with other settings. */
function stateOf(app: FastifyInstance, config: Config): ServerState {
  const [bound] = app.addresses()
  if (typeof bound !== 'object') return { version: version(), page: undefined }
  const { page } = startNotice(config, version(), bound.port, networkInterfaces())
  return { version: version(), page: page?.[0] }
}

/** PostgreSQL's disk may be on another machine. */
async function watchDisk({ databaseUrl, diskFreeMin }: Config, log: DiskLog): Promise<DiskSpace | undefined> {
  if (isPostgres(databaseUrl) || diskFreeMin === 0) return undefined
  const disk = new DiskSpace(diskFreeMin, () => freeSpace(databaseFile(databaseUrl)), log)
  await disk.watch()
  return disk
}

/** The metrics stay available while the server stops. */
function listenForScrapes(app: FastifyInstance, metrics: Metrics, port: number) {
  let server: MetricsServer | undefined
  app.addHook('onReady', async () => {
    server = await serveMetrics(metrics, port)
    app.log.info(`metrics at ${server.url}`)
  })
  app.addHook('onClose', async () => server?.close())
}

/** Hooks and handlers around the operations. */
async function prepareHttp(
  app: FastifyInstance,
  config: Config,
  requests: RequestCounts,
  contract = readContract(config),
) {
  await allowOrigins(app, config.corsOrigin)
  acceptJson(app)
  const hasWeb = config.web === 'on'
  replyWithProblems(app, contract, hasWeb, requests)
  serveContract(app, contract, hasWeb)
  if (hasWeb) serveWebPage(app)
  return contract
}

/** Runs the rest of a start, and releases everything when it fails. */
async function orClose<T>(open: { close: () => PromiseLike<unknown> }, go: () => T | Promise<T>): Promise<T> {
  try {
    return await go()
  } catch (error) {
    await open.close()
    throw error
  }
}
