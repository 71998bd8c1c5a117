import type { FastifyInstance } from 'fastify'
import { overloaded } from '../problems.ts'

/** How often idle connections are closed: Node closes only those that are idle at the start. */
const CLOSE_IDLE_EVERY_MS = 50

/** Cuts connections whose clients are silent before or within a request. Other requests end long before. */
const CUT_OFF_MS = 2_000

/**
 * Makes closing quick and graceful: answers parked polls, finishes requests under way, and refuses new ones
 * with 503.
 *
 * @param answerParked answers the parked polls, for which Fastify would wait
 * @param finish runs after the last response
 */
export function closeGracefully(app: FastifyInstance, answerParked: () => void, finish: () => Promise<void>) {
  let closing = false

  app.addHook('onRequest', (_request, reply, done) => {
    if (!closing) return done()
    reply.header('Connection', 'close')
    done(overloaded('The server is stopping. Try again in a moment.'))
  })

  app.addHook('preClose', (done) => {
    closing = true
    answerParked()
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
