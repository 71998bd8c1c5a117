import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Config } from '../config.ts'
import { Problem } from '../problems.ts'
import { refuseUnreadable, sendProblem } from './problem-replies.ts'

/**
 * An HTTP server with limits on everything that a stranger can make it hold, and nothing to serve yet.
 *
 * @param logTo where the log goes
 */
export function createApp(
  { connectionsMax, trustProxy, logLevel }: Config,
  logTo: NodeJS.WritableStream,
): FastifyInstance {
  const boot = randomBytes(4).toString('hex')
  let requests = 0
  const nextRequestId = () => `${boot}-${(requests++).toString(36)}`

  const app: FastifyInstance = Fastify({
    logger: { level: logLevel, stream: logTo },
    logController: new LogController({ disableRequestLogging: true }),
    // A logger for each request is made for every one and used by few: those name the request themselves.
    childLoggerFactory: (logger) => logger,
    genReqId: nextRequestId,
    trustProxy,
    // Of requests that the contract gives no body; the others have limits of their own: contract/bind.ts.
    bodyLimit: 1_024,
    http: { maxHeaderSize: 8_192, headersTimeout: 10_000, requireHostHeader: false },
    requestTimeout: 30_000,
    // Longer than the 60 s of common load balancers, so that it is they who end an idle connection.
    keepAliveTimeout: 72_000,
    // Who neither reads nor writes for twice the longest wait of a poll is gone.
    connectionTimeout: 120_000,
    routerOptions: { maxParamLength: 128 },
    exposeHeadRoutes: false,
    // While it closes, a refusal is a problem document like any other: see graceful-close.ts.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseUnreadable(error, socket, nextRequestId()),
    frameworkErrors: (error, request, reply) => {
      reply.header('X-Request-Id', request.id).header('Cache-Control', 'no-store')
      void sendProblem(reply, new Problem('invalid_request', error.message))
    },
  })
  app.server.maxConnections = connectionsMax
  // RFC 9110 §10.1.1: an expectation that is unknown may be ignored. Node would refuse it without a word.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Request-Id', request.id)
    reply.header('X-Content-Type-Options', 'nosniff')
    // By the route too: a path may come with escapes, or with a host before it.
    if (isVersioned(request.url) || isVersioned(request.routeOptions.url))
      reply.header('Cache-Control', 'no-store')
    // RFC 9112 §3.2 wants 400. Node would say so too, but without a word.
    const hostless = request.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(hostless ? new Problem('invalid_request', 'The request has no Host.') : undefined)
  })
  if (logLevel === 'debug' || logLevel === 'trace') {
    app.addHook('onResponse', (request, reply, done) => {
      // The pattern and not the address: a log need not know who was looked up.
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

const isVersioned = (path: string | undefined) => path?.startsWith('/v1')
