import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Config } from '../config.ts'
import { trustedProxies } from '../limits/address.ts'
import { Connection } from './connection.ts'
import { ConnectionShares } from './connection-shares.ts'
import type { Paused } from './node-parser.ts'

/** What a connection may do, and for how long. */
export interface ConnectionLimits {
  /** Maximum number of unanswered requests. Reading pauses until one is answered. */
  unanswered: number
  /** From the first byte of a request, or from the connection, to the end of the head. */
  headersMs: number
  /** To the end of the request. */
  requestMs: number
  /** For the client to take a response, and the bytes per second that it must take of a long one. */
  takeMs: number
  takeBytesPerSecond: number
  /** Between two checks of these times. */
  checkEveryMs: number
}

const LIMITS: ConnectionLimits = {
  unanswered: 16,
  headersMs: 10_000,
  requestMs: 30_000,
  takeMs: 30_000,
  takeBytesPerSecond: 8_192,
  checkEveryMs: 1_000,
}

/**
 * Longer than the 60 s of common load balancers, so that the balancer ends an idle connection, not the
 * server.
 */
const IDLE_MS = 72_000
/** Without a byte in either direction for twice the longest wait of a poll, the client is gone. */
const SILENT_MS = 120_000
const HEADERS_BYTES_MAX = 8_192

/** The connections of a server, with limits on everything that a stranger can make them hold. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #shares: ConnectionShares
  readonly #open = new Map<Socket, Connection>()
  readonly #onHalfClosed: (this: Socket) => void

  /** @param limits to shorten those of production in a test */
  constructor({ connectionsMax, trustProxy }: Config, limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits }
    const isTrusted = trustProxy === false ? () => false : trustedProxies(trustProxy)
    const open = this.#open
    this.#onHalfClosed = function () {
      open.get(this)?.onHalfClosed()
    }
    this.#shares = new ConnectionShares(connectionsMax, (address) => address !== '' && isTrusted(address))
  }

  /** Makes a server whose connections are limited. */
  serve(handler: RequestListener): Server {
    const { headersMs, requestMs, checkEveryMs } = this.#limits
    const server = createServer({
      maxHeaderSize: HEADERS_BYTES_MAX,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: checkEveryMs,
      keepAliveTimeout: IDLE_MS,
      requireHostHeader: false,
    })
    // Undocumented, in Node 20 to 26. Without it a client that closes its writing side is cut off.
    Object.assign(server, { httpAllowHalfOpen: true })
    server.setTimeout(SILENT_MS)
    server.on('connection', (socket) => this.#accept(socket))
    server.on('request', (request, response) => this.#open.get(request.socket)?.begin(response))
    server.on('request', handler)
    // RFC 9110 §10.1.1: an unknown expectation may be ignored. Node would refuse it without an explanation.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response))
    // Node has removed its listeners from the socket.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => {}).resume()
      server.emit('clientError', Object.assign(new Error('CONNECT'), { code: 'CONNECT' }), socket)
    })
    const check = setInterval(() => this.#cutSlow(), checkEveryMs).unref()
    server.on('close', () => clearInterval(check))
    return server
  }

  #accept(socket: Socket) {
    const connection = new Connection(socket, this.#limits.unanswered)
    if (!this.#shares.admit(connection)) {
      socket.destroy()
      return
    }
    this.#open.set(socket, connection)
    // One listener for all sockets: there may be tens of thousands.
    socket.on('end', this.#onHalfClosed)
    socket.once('close', () => this.#open.delete(socket))
  }

  /**
   * Handles what Node reports of a connection instead of a request.
   *
   * @param refusal makes the answer to what cannot be read
   */
  onClientError(error: NodeJS.ErrnoException, socket: Socket, refusal: () => string) {
    const connection = this.#open.get(socket)
    if (!connection || error.code === 'ECONNRESET') socket.destroy()
    else if (isPause(error)) connection.takeOver(error)
    // Nothing is read after the last request of a connection.
    else if (error.code !== 'HPE_CLOSED_CONNECTION') connection.refuse(refusal())
  }

  #cutSlow() {
    const nowMs = performance.now()
    const { takeMs, takeBytesPerSecond } = this.#limits
    for (const connection of this.#open.values()) connection.cutIfSlow(nowMs, takeMs, takeBytesPerSecond)
  }
}

const isPause = (error: NodeJS.ErrnoException): error is Paused => error.code === 'HPE_PAUSED'
