import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Contract } from '../contract/document.ts'
import { DatabaseUnavailable } from '../database/database.ts'
import { overloaded, Problem } from '../problems.ts'
import { FaultLog } from './fault-log.ts'
import { sendNotFoundPage, wantsPage } from './not-found-page.ts'
import type { RequestCounts } from './request-counts.ts'

/**
 * Answers every error with a problem document (RFC 9457).
 *
 * @param hasWeb whether browsers get a page for 404
 */
export function replyWithProblems(
  app: FastifyInstance,
  contract: Contract,
  hasWeb: boolean,
  counts: RequestCounts,
) {
  const methodsOf = methodFinder(contract)
  const faults = new FaultLog(app.log)

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error)
    counts.countProblem(request, problem.code)
    const { message: reason } = error
    if (problem.code === 'internal_error')
      faults.write('error', { err: error, reqId: request.id }, 'fault', reason)
    if (error instanceof DatabaseUnavailable)
      faults.write('warn', { reason, reqId: request.id }, 'database unavailable', reason)
    return sendProblem(reply, problem)
  })

  const refuseRoute = (request: FastifyRequest, reply: FastifyReply) => {
    const [path = ''] = request.url.split('?')
    const allow = methodsOf(path).join(', ')
    if (!allow) {
      if (hasWeb && wantsPage(request) && !isVersioned(path)) return sendNotFoundPage(reply)
      const detail = `There is nothing at this path. The API is described at ${hasWeb ? '/docs' : '/openapi.yaml'}.`
      return sendProblem(reply, new Problem('not_found', detail))
    }
    return sendProblem(reply, new Problem('method_not_allowed', `This path supports ${allow}.`, { allow }))
  }
  app.setNotFoundHandler(refuseRoute)
  // Before the body is read, so its form does not matter.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) refuseRoute(request, reply)
    else done()
  })
}

/** Whether a path belongs to the API. */
export const isVersioned = (path: string | undefined) => path?.startsWith('/v1')

/** Sends a problem with its headers. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const { retryAfterSeconds, allow } = problem.extras
  reply.code(problem.status).type('application/problem+json')
  if (retryAfterSeconds !== undefined) reply.header('Retry-After', retryAfterSeconds)
  if (allow !== undefined) reply.header('Allow', allow)
  if (problem.code === 'insufficient_scope')
    reply.header('WWW-Authenticate', 'Bearer error="insufficient_scope"')
  if (problem.status === 401) reply.header('WWW-Authenticate', challenge(reply.request))
  // Send its members: Fastify would pass an error object to the error handler again.
  return reply.serializer(JSON.stringify).send(problem.toJSON())
}

/** RFC 6750 §3: the challenge names an error only if there was a token. */
const challenge = ({ headers, routeOptions }: FastifyRequest) =>
  headers.authorization === undefined || routeOptions.url === '/v1/login'
    ? 'Bearer'
    : 'Bearer error="invalid_token"'

/** The problem for an error. Details of unexpected errors go to the log, not to the client. */
function toProblem(error: FastifyError): Problem {
  if (error instanceof Problem) return error
  if (error instanceof DatabaseUnavailable) return overloaded('The database is unavailable at the moment.')
  const { statusCode = 500 } = error
  if (statusCode === 413)
    return new Problem('body_too_large', 'The request body is too large for this operation.')
  if (statusCode === 415)
    return new Problem('unsupported_media_type', 'The body must be sent as application/json.')
  if (statusCode >= 400 && statusCode < 500) return new Problem('invalid_request', error.message)
  return new Problem('internal_error', 'An unexpected error occurred. The log of the server has the details.')
}

/** Finds the methods of a concrete path. */
function methodFinder({ operations }: Contract): (path: string) => string[] {
  const routes = operations.map(({ methods, path }) => ({
    methods,
    pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return (path) => routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)
}

/** Status and detail of unreadable requests, by Node's error code. */
const UNREADABLE: Record<string, [status: number, detail: string]> = {
  CONNECT: [400, 'This server is not a proxy.'],
  HPE_HEADER_OVERFLOW: [431, 'The request headers are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
}

/**
 * The complete response to an unreadable request. It closes the connection, because the start of the next
 * request is unknown.
 *
 * @param headers additional headers
 */
export function refusalOfUnreadable({ code = '' }: NodeJS.ErrnoException, headers: Record<string, string>) {
  const [status, detail] = UNREADABLE[code] ?? [400, 'The request is not valid HTTP.']
  const document = JSON.stringify({ ...new Problem('invalid_request', detail).toJSON(), status })
  const all = {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(document),
    'Cache-Control': 'no-store',
    Connection: 'close',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return { status, text: [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', document].join('\r\n') }
}
