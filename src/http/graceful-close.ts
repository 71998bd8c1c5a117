import type { FastifyInstance } from 'fastify'
import { overloaded } from '../problems.ts'

/** How often idle connections are looked for: Node closes only those that are idle when closing begins. */
const CLOSE_IDLE_EVERY_MS = 50

/**
 * Requests under way end long before this. Then connections are cut whose clients are silent before or within
 * a request: Node would wait for them.
 */
const CUT_OFF_MS = 2_000

/**
 * Makes closing quick and harmless: parked requests are answered, those under way are finished, and new ones
 * on open connections are refused with 503.
 *
 * @param answerHeld answers the parked requests; Fastify would wait for them
 * @param finish runs after the last response
 */
export function closeGracefully(app: FastifyInstance, answerHeld: () => void, finish: () => Promise<void>) {
  let closing = false

  app.addHook('onRequest', (_request, reply, done) => {
    if (!closing) return done()
    reply.header('Connection', 'close')
    done(overloaded('The server is stopping. Try again in a moment.'))
  })

  app.addHook('preClose', (done) => {
    closing = true
    answerHeld()
    // A failed start has no connections to close.
    if (!app.server.listening) return done()
    const closeIdle = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
    const cutOff = setTimeout(() => app.server.closeAllConnections(), CUT_OFF_MS)
    app.server.once('close', () => {
      clearInterval(closeIdle)
      clearTimeout(cutOff)
    })
    done()
  })

  app.addHook('onClose', finish)
}
