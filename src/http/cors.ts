import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** A day: what is allowed does not change while the server runs. */
const PREFLIGHT_SECONDS_MAX = 86_400

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
    methods: ['GET', 'POST', 'PUT'],
    allowedHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Prefer'],
    exposedHeaders: ['Location', 'Retry-After', 'X-Request-Id', 'Idempotent-Replayed', 'Preference-Applied'],
    maxAge: PREFLIGHT_SECONDS_MAX,
  })
}
