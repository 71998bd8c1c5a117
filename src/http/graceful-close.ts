import type { FastifyInstance } from 'fastify'
import { overloaded } from '../problems.ts'

/**
 * Between two looks for connections that have become idle: Node closes those that are idle when it starts to
 * close.
 */
const CLOSE_IDLE_EVERY_MS = 50

/**
 * What had begun is done long before this. Then connections are cut whose clients are silent before or in the
 * middle of a request, for which Node would wait.
 */
const CUT_OFF_MS = 2_000

/**
 * Makes closing the server quick and harmless: held requests are answered, what is under way is finished,
 * what still comes on an open connection is sent elsewhere.
 *
 * @param answerHeld answers the requests that are held; Fastify would wait for them
 * @param finish runs when the last answer is out
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
    // A start that failed has no connections, and no end of them.
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
