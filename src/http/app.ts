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
 * Makes the Fastify app, without routes, with limits on everything that a stranger can make it hold.
 *
 * @param counts counts all responses
 * @param connectionLimits for tests: shorter limits
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
    // No logger per request: few requests log, and their lines have the request id.
    childLoggerFactory: (logger) => logger,
    genReqId: nextRequestId,
    trustProxy: trustProxy && trustedProxies(trustProxy),
    // For operations without a body. The others have their own limits: contract/bind.ts.
    bodyLimit: 1_024,
    serverFactory: (handler) => connections.serve(handler),
    routerOptions: { maxParamLength: 128 },
    exposeHeadRoutes: false,
    // While closing, graceful-close.ts refuses with problem documents.
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
    // No hook has run for these.
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
        `CONNECTIONS_MAX is lowered ${numbers} by the limit of open files (ulimit -n, LimitNOFILE).`,
      )
    })

  app.addHook('onRequest', (request, reply, done) => {
    // Separate calls are faster than an object of headers.
    reply.header('X-Request-Id', request.id)
    reply.header('X-Content-Type-Options', 'nosniff')
    // Check the route too: a URL may contain escapes or begin with a host.
    if (isVersioned(request.url) || isVersioned(request.routeOptions.url))
      reply.header('Cache-Control', 'no-store')
    const problem = problemWithHost(request.raw)
    // The CORS plugin's hook does not run after a refusal.
    if (problem) reply.headers(originHeaders(corsOrigin, request.headers.origin))
    done(problem)
  })
  if (logLevel === 'debug' || logLevel === 'trace') {
    app.addHook('onResponse', (request, reply, done) => {
      // Log the route, not the path, which may contain a username.
      const { method, routeOptions } = request
      const fields = {
        method,
        path: routeOptions.url,
        status: reply.statusCode,
        reqId: request.id,
        ms: Math.round(reply.elapsedTime),
      }
      request.log.debug(fields, 'answered')
      done()
    })
  }
  return app
}

/** The headers of every response, for responses that bypass the hooks. */
const headersOfAll = (requestId: string) => ({
  'X-Request-Id': requestId,
  'X-Content-Type-Options': 'nosniff',
})

/**
 * RFC 9112 §3.2 requires 400. Node would refuse a missing Host without explanation, and drops a second one.
 */
function problemWithHost({ rawHeaders, httpVersion }: IncomingMessage): Problem | undefined {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 'host'.length && name.toLowerCase() === 'host') hosts += 1
  }
  if (hosts > 1) return new Problem('invalid_request', 'The request has more than one Host header.')
  if (hosts === 0 && httpVersion === '1.1')
    return new Problem('invalid_request', 'The request has no Host header.')
  return undefined
}
