import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** The longest that Chrome accepts. An origin removed from the list can send meanwhile, but not read. */
const PREFLIGHT_SECONDS_MAX = 7_200

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const REQUEST_HEADERS = ['Authorization', 'Content-Type', 'Idempotency-Key', 'Prefer']

/** All response headers that pages may not read by default. */
const EXPOSED_HEADERS = [
  'Accept-Encoding',
  'Allow',
  'Date',
  'Deprecation',
  'ETag',
  'Idempotent-Replayed',
  'Location',
  'Preference-Applied',
  'Retry-After',
  'Sunset',
  'WWW-Authenticate',
  'X-Request-Id',
]

/**
 * Lets pages of other origins use the API. Tokens are sent in a header, not a cookie, so credentials are not
 * allowed.
 */
export async function allowOrigins(app: FastifyInstance, origins: string[]) {
  if (origins.length === 0) return
  app.addHook('onRequest', (request, reply, done) => {
    const preflight = request.headers.origin && request.headers['access-control-request-method']
    // The plugin would refuse it in plain text, not with a problem document.
    if (request.method === 'OPTIONS' && !preflight) reply.callNotFound()
    else done()
  })
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : origins,
    methods: METHODS,
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS_MAX,
  })
}

/**
 * The CORS headers for responses that bypass the plugin.
 *
 * @param origin of the request; if unknown, the only allowed one
 */
export function originHeaders(allowed: string[], origin = allowed[1] === undefined ? allowed[0] : undefined) {
  if (allowed.length === 0) return {}
  const exposed = { 'Access-Control-Expose-Headers': EXPOSED_HEADERS.join(', ') }
  if (allowed.includes('*')) return { 'Access-Control-Allow-Origin': '*', ...exposed }
  const isAllowed = origin !== undefined && allowed.includes(origin)
  return { Vary: 'Origin', ...(isAllowed && { 'Access-Control-Allow-Origin': origin, ...exposed }) }
}

/** The origin of an unreadable request, if the bytes at hand contain it. */
export const originIn = ({ rawPacket }: { rawPacket?: unknown }): string | undefined =>
  Buffer.isBuffer(rawPacket)
    ? /^origin:[ \t]*(\S+)[ \t]*\r?$/im.exec(rawPacket.toString('latin1'))?.[1]
    : undefined
