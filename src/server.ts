import jwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import { Accounts } from './accounts/accounts.ts'
import { Passwords } from './accounts/passwords.ts'
import { Sessions } from './accounts/sessions.ts'
import { jwtOptions, Tokens } from './accounts/tokens.ts'
import { type Config, databaseFile } from './config.ts'
import { bind } from './contract/bind.ts'
import { readContract } from './contract/document.ts'
import { openSqlite } from './database/sqlite/open.ts'
import { createApp } from './http/app.ts'
import { authenticate } from './http/authenticate.ts'
import { allowOrigins } from './http/cors.ts'
import { closeGracefully } from './http/graceful-close.ts'
import { acceptJson } from './http/json-body.ts'
import { replyWithProblems } from './http/problem-replies.ts'
import { Inbox } from './inbox/inbox.ts'
import { startRetention } from './inbox/retention.ts'
import { Waiters } from './inbox/waiters.ts'
import { RateLimits } from './limits/rate-limits.ts'
import { handlers } from './operations/index.ts'
import { serveApiReference } from './operator/api-reference.ts'
import { readSecrets } from './secrets.ts'

/** What the server gets from the process that it runs in. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>
  logTo: NodeJS.WritableStream
  /** Called when the database is lost for good: what it was doing is unknown, so the process should end. */
  onLoss: (error: Error) => void
}

/**
 * Puts the service together, ready to listen. Closing it answers the parked polls, finishes what is under way
 * and lets go of the database.
 *
 * @throws ConfigurationError, DatabaseInUse
 */
export async function createServer(
  config: Config,
  { env, logTo, onLoss }: Surroundings,
): Promise<FastifyInstance> {
  const file = databaseFile(config.databaseUrl)
  // The database opens in its own thread, while everything is prepared that can do without it.
  const [database, { app, contract }] = await Promise.all([
    openSqlite(file, config, onLoss),
    prepareHttp(config, logTo),
  ])
  const secrets = readSecrets(env, `${file}.jwt-secret`)
  await app.register(jwt, jwtOptions(secrets.jwt[0]))

  const waiters = new Waiters(config.presenceGraceMs, (username, atMs) => inbox.see(username, atMs))
  const inbox = new Inbox(database, waiters)
  const sessions = new Sessions(database, new Tokens(app.jwt, secrets.jwt), waiters, config)
  const accounts = new Accounts(database, new Passwords(), sessions)
  const limits = new RateLimits(config.rateLimits === 'on')
  const stopRetention = startRetention(database, config, (error) => app.log.error(error, 'The purge failed.'))

  const parts = { accounts, sessions, inbox, waiters, limits, database }
  bind(app, contract, handlers(parts), authenticate(sessions, inbox))
  closeGracefully(
    app,
    () => waiters.close(),
    async () => {
      await stopRetention()
      try {
        await inbox.settled()
      } finally {
        // Also when the last batch could not be written: a thread that is cut off in the middle of a
        // statement aborts.
        await database.close()
      }
    },
  )
  return app
}

/** What answers every request before and after the operations. */
async function prepareHttp(config: Config, logTo: NodeJS.WritableStream) {
  const contract = readContract(config.messageLengthMax)
  const app = createApp(config, logTo)
  await allowOrigins(app, config.corsOrigin)
  acceptJson(app)
  replyWithProblems(app, contract)
  await serveApiReference(app, contract)
  return { app, contract }
}
