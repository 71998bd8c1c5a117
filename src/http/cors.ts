import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/**
 * The longest that Chrome takes. For so long an origin that is no longer allowed can send, and read nothing.
 */
const PREFLIGHT_SECONDS_MAX = 7_200

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const REQUEST_HEADERS = ['Authorization', 'Content-Type', 'Idempotency-Key', 'Prefer']

/** All that answers may have, as far as a page is not allowed to read it anyway. */
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
 * Lets pages of other origins use the API. Tokens travel in a header and not in a cookie, so no credentials
 * are allowed.
 */
export async function allowOrigins(app: FastifyInstance, origins: string[]) {
  if (origins.length === 0) return
  app.addHook('onRequest', (request, reply, done) => {
    const preflight = request.headers.origin && request.headers['access-control-request-method']
    // The plugin would refuse it with a text, and not with a problem document.
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
 * The headers with which a page may read an answer that comes past the plugin.
 *
 * @param origin of the request; where it is not known, the only one that is allowed
 */
export function originHeaders(allowed: string[], origin = allowed[1] === undefined ? allowed[0] : undefined) {
  if (allowed.length === 0) return {}
  const exposed = { 'Access-Control-Expose-Headers': EXPOSED_HEADERS.join(', ') }
  if (allowed.includes('*')) return { 'Access-Control-Allow-Origin': '*', ...exposed }
  const isAllowed = origin !== undefined && allowed.includes(origin)
  return { Vary: 'Origin', ...(isAllowed && { 'Access-Control-Allow-Origin': origin, ...exposed }) }
}

/** The origin of a request that cannot be read as one, where the bytes at hand have it. */
export const originIn = ({ rawPacket }: { rawPacket?: unknown }): string | undefined =>
  Buffer.isBuffer(rawPacket)
    ? /^origin:[ \t]*(\S+)[ \t]*\r?$/im.exec(rawPacket.toString('latin1'))?.[1]
    : undefined
