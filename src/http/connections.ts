import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Config } from '../config.ts'
import { trustedProxies } from '../limits/address.ts'
import { Connection, type OnQuiet } from './connection.ts'
import { ConnectionShares } from './connection-shares.ts'
import type { Paused } from './node-parser.ts'
import { RequestTurns } from './request-turns.ts'

/** The limits of a connection. */
export interface ConnectionLimits {
  /** The maximum number of unanswered requests. At the limit, reading pauses. */
  unanswered: number
  /** How many connections that send ahead may wait before they are shared, each with up to 128 KiB. */
  waiting: number
  /** From the first byte of a request, or from the connection, to the end of the headers. */
  headersMs: number
  /** To the end of the request. */
  requestMs: number
  /** The time for a client to read a response, and the minimum rate for a long one. */
  takeMs: number
  takeBytesPerSecond: number
  /** The interval between checks of these times. */
  checkEveryMs: number
}

const LIMITS: ConnectionLimits = {
  unanswered: 16,
  waiting: 1_024,
  headersMs: 10_000,
  requestMs: 30_000,
  takeMs: 30_000,
  takeBytesPerSecond: 8_192,
  checkEveryMs: 1_000,
}

/** Longer than the 60 s of common load balancers, so the balancer, not the server, ends idle connections. */
const IDLE_MS = 72_000
/** A client counts as gone after twice the longest wait of a poll without a byte in either direction. */
const SILENT_MS = 120_000
const HEADERS_BYTES_MAX = 8_192

/** The connections of a server, within limits on everything that a stranger can make them hold. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #shares: ConnectionShares
  readonly #open = new Map<Socket, Connection>()
  // One listener for all sockets each, since there may be tens of thousands.
  readonly #onHalfClosed: (this: Socket) => void
  readonly #onClosed: (this: Socket) => void
  readonly #onQuiet: OnQuiet

  /** @param limits for tests: shorter limits */
  constructor({ connectionsMax, trustProxy }: Config, limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits }
    const isTrusted = trustProxy === false ? () => false : trustedProxies(trustProxy)
    const open = this.#open
    this.#onHalfClosed = function () {
      open.get(this)?.onHalfClosed()
    }
    const shares = new ConnectionShares(connectionsMax, (address) => address !== '' && isTrusted(address))
    this.#onClosed = function () {
      const connection = open.get(this)
      open.delete(this)
      if (connection) shares.release(connection)
    }
    this.#onQuiet = (connection, quiet) => shares.noteQuiet(connection, quiet)
    this.#shares = shares
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
    // Undocumented, in Node 20 to 26. Without it, a client that closes its writing side is cut off.
    Object.assign(server, { httpAllowHalfOpen: true })
    server.setTimeout(SILENT_MS)
    const turns = new RequestTurns(handler, this.#limits.waiting)
    server.on('connection', (socket) => this.#accept(socket, turns))
    server.on('request', (request, response) => this.#open.get(request.socket)?.begin(request, response))
    // RFC 9110 §10.1.1 allows ignoring an unknown expectation. Node would refuse it without explanation.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response))
    // Node has removed its listeners, so an error would be uncaught.
    server.on('connect', (_request, socket) => {
      socket.on('error', () => {}).resume()
      server.emit('clientError', Object.assign(new Error('CONNECT'), { code: 'CONNECT' }), socket)
    })
    const check = setInterval(() => this.#cutSlow(), checkEveryMs).unref()
    server.on('close', () => clearInterval(check))
    return server
  }

  #accept(socket: Socket, turns: RequestTurns) {
    const connection = new Connection(socket, this.#limits.unanswered, turns, this.#onQuiet)
    if (!this.#shares.admit(connection)) {
      socket.destroy()
      return
    }
    this.#open.set(socket, connection)
    socket.on('end', this.#onHalfClosed)
    socket.on('close', this.#onClosed)
  }

  /**
   * Handles Node's `clientError`.
   *
   * @param refusal makes the response to an unreadable request
   */
  onClientError(error: NodeJS.ErrnoException, socket: Socket, refusal: () => string) {
    const connection = this.#open.get(socket)
    if (!connection || error.code === 'ECONNRESET') socket.destroy()
    else if (isPause(error)) connection.takeOver(error)
    // HPE_CLOSED_CONNECTION: bytes after the last request are ignored.
    else if (error.code !== 'HPE_CLOSED_CONNECTION') connection.refuse(refusal())
  }

  #cutSlow() {
    const nowMs = performance.now()
    const { takeMs, takeBytesPerSecond } = this.#limits
    for (const connection of this.#open.values()) connection.cutIfSlow(nowMs, takeMs, takeBytesPerSecond)
  }
}

const isPause = (error: NodeJS.ErrnoException): error is Paused => error.code === 'HPE_PAUSED'
