import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Config } from '../config.ts'
import { trustedProxies } from '../limits/address.ts'
import { Problem } from '../problems.ts'
import { type ConnectionLimits, Connections } from './connections.ts'
import { originHeaders, originIn } from './cors.ts'
import { connectionsThatFit } from './open-files.ts'
import { isVersioned, refusalOfUnreadable, sendProblem } from './problem-replies.ts'
import type { RequestCounts } from './request-counts.ts'

/**
 * Fastify with limits on everything that a stranger can make it hold, still without routes.
 *
 * @param logTo where the log goes
 * @param counts of all answers
 * @param connectionLimits to shorten those of production in a test
 */
export function createApp(
  config: Config,
  logTo: NodeJS.WritableStream,
  counts: RequestCounts,
  connectionLimits?: Partial<ConnectionLimits>,
): FastifyInstance {
  const { trustProxy, corsOrigin, logLevel } = config
  const connectionsMax = Math.min(config.connectionsMax, connectionsThatFit())
  const connections = new Connections({ ...config, connectionsMax }, connectionLimits)
  const boot = randomBytes(4).toString('hex')
  let requests = 0
  const nextRequestId = () => `${boot}-${(requests++).toString(36)}`

  const app: FastifyInstance = Fastify({
    logger: { level: logLevel, stream: logTo },
    logController: new LogController({ disableRequestLogging: true }),
    // No logger per request: few requests log, and these name the request themselves.
    childLoggerFactory: (logger) => logger,
    genReqId: nextRequestId,
    trustProxy: trustProxy && trustedProxies(trustProxy),
    // For requests without a body in the contract; the others have limits of their own: contract/bind.ts.
    bodyLimit: 1_024,
    serverFactory: (handler) => connections.serve(handler),
    routerOptions: { maxParamLength: 128 },
    exposeHeadRoutes: false,
    // While closing, refusals are problem documents like any other: see graceful-close.ts.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) =>
      connections.onClientError(error, socket, () => {
        const { status, text } = refusalOfUnreadable(error, {
          ...headersOfAll(nextRequestId()),
          ...originHeaders(corsOrigin, originIn(error)),
        })
        counts.countUnreadable(status)
        return text
      }),
    // No hook runs before this one.
    frameworkErrors: (error, request, reply) => {
      counts.countUnreadable(400)
      reply.headers({ ...headersOfAll(request.id), ...originHeaders(corsOrigin, request.headers.origin) })
      reply.header('Cache-Control', 'no-store')
      void sendProblem(reply, new Problem('invalid_request', error.message))
    },
  })

  counts.watch(app)
  if (connectionsMax < config.connectionsMax)
    app.addHook('onListen', async () => {
      const numbers = `from ${config.connectionsMax} to ${connectionsMax}`
      app.log.info(
        `CONNECTIONS_MAX is lowered ${numbers}: no more files may be open (ulimit -n, LimitNOFILE).`,
      )
    })

  app.addHook('onRequest', (request, reply, done) => {
    // One by one, which is faster than an object of headers.
    reply.header('X-Request-Id', request.id)
    reply.header('X-Content-Type-Options', 'nosniff')
    // By the route too: a path may contain escapes, or begin with a host.
    if (isVersioned(request.url) || isVersioned(request.routeOptions.url))
      reply.header('Cache-Control', 'no-store')
    const problem = problemWithHost(request.raw)
    // The plugin's hook does not run then.
    if (problem) reply.headers(originHeaders(corsOrigin, request.headers.origin))
    done(problem)
  })
  if (logLevel === 'debug' || logLevel === 'trace') {
    app.addHook('onResponse', (request, reply, done) => {
      // The pattern instead of the path: a log need not contain the usernames looked up.
      const { method, routeOptions } = request
      const took = {
        method,
        path: routeOptions.url,
        status: reply.statusCode,
        reqId: request.id,
        ms: Math.round(reply.elapsedTime),
      }
      request.log.debug(took, 'answered')
      done()
    })
  }
  return app
}

/** The headers of every response, for responses that no hook sees. */
const headersOfAll = (requestId: string) => ({
  'X-Request-Id': requestId,
  'X-Content-Type-Options': 'nosniff',
})

/**
 * RFC 9112 §3.2 wants 400. Node would refuse a missing one without an explanation, and drops a second one.
 */
function problemWithHost({ rawHeaders, httpVersion }: IncomingMessage): Problem | undefined {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 'host'.length && name.toLowerCase() === 'host') hosts += 1
  }
  if (hosts > 1) return new Problem('invalid_request', 'The request has more than one Host.')
  if (hosts === 0 && httpVersion === '1.1') return new Problem('invalid_request', 'The request has no Host.')
  return undefined
}
