import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** A day: what is allowed does not change while the server runs. */
const PREFLIGHT_SECONDS_MAX = 86_400

const EXPOSED_HEADERS = [
  'Location',
  'Retry-After',
  'X-Request-Id',
  'Idempotent-Replayed',
  'Preference-Applied',
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
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Prefer'],
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
