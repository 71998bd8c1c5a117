import type { ClientRequest, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { isPublicAddress } from './endpoint.ts'
import { AddressRefused, checkedLookup, type Resolve, resolveWith } from './lookup.ts'

/** How much of a response body is read. */
const BODY_BYTES_MAX = 4_096

/** Idle connections to one service and in all, and how long they are kept. */
const IDLE_PER_SERVICE_MAX = 4
const IDLE_MAX = 64
const IDLE_MS = 30_000

/** The time per address of a name. Node's default of 250 ms cuts off connections that are merely far away. */
const NEXT_ADDRESS_MS = 1_000

export interface HttpsResponse {
  status: number
  headers: IncomingHttpHeaders
  /** The beginning of the body, for the log. */
  body: string
}

export interface HttpsClientSettings {
  /** Whether addresses of this machine and its networks are allowed. */
  allowPrivate: boolean
  /** From the start to the end of the TLS handshake. */
  connectMs: number
  totalMs: number
  /** For tests: replaces the name servers. */
  resolve?: Resolve
  /** For tests: replaces the trusted public certificates. */
  ca?: string
}

/** Sends requests over checked connections, within limits of time and size, without redirects. */
export class HttpsClient {
  readonly #settings: HttpsClientSettings
  readonly #agent: Agent
  readonly #underWay = new Set<ClientRequest>()
  #closed = false

  constructor(settings: HttpsClientSettings) {
    this.#settings = settings
    const { allowPrivate, ca, resolve = resolveWith(allowPrivate) } = settings
    this.#agent = new Agent({
      keepAlive: true,
      maxFreeSockets: IDLE_PER_SERVICE_MAX,
      timeout: IDLE_MS,
      autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
      lookup: checkedLookup(resolve, allowPrivate),
      ...(ca !== undefined && { ca }),
    })
  }

  /**
   * Sends a request. The caller has checked an address in the URL, since addresses are not looked up.
   *
   * @throws AddressRefused when a name resolves to a private address, and system errors
   */
  async post(url: URL, headers: OutgoingHttpHeaders, body: Buffer): Promise<HttpsResponse> {
    const { totalMs } = this.#settings
    const endsAtMs = performance.now() + totalMs
    for (;;) {
      const idle = Object.values(this.#agent.freeSockets).reduce((sum, list = []) => sum + list.length, 0)
      const last = idle < IDLE_MAX ? {} : { Connection: 'close' }
      const outgoing = request(url, { method: 'POST', agent: this.#agent, headers: { ...headers, ...last } })
      const abort = () => outgoing.destroy(new Error(`No response within ${totalMs} ms.`))
      const timeout = setTimeout(abort, endsAtMs - performance.now())
      this.#underWay.add(outgoing)
      try {
        return await this.#exchange(outgoing, body)
      } catch (error) {
        // The service closed a kept-alive connection as it was reused. Retry; there are few of them.
        const { code = '' } = error as NodeJS.ErrnoException
        const isStale = outgoing.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(code)
        if (!isStale || performance.now() >= endsAtMs || this.#closed) throw error
      } finally {
        clearTimeout(timeout)
        this.#underWay.delete(outgoing)
      }
    }
  }

  /** Cuts off requests under way. */
  close(): void {
    this.#closed = true
    for (const outgoing of this.#underWay) outgoing.destroy(new Error('The server is stopping.'))
    this.#agent.destroy()
  }

  #exchange(outgoing: ClientRequest, body: Buffer): Promise<HttpsResponse> {
    return new Promise((resolve, reject) => {
      // A switch to another protocol (101) ends the connection without an error.
      const unanswered = () => reject(new Error('The connection ended without a response.'))
      outgoing.on('error', reject).on('close', unanswered)
      this.#watchConnection(outgoing)
      outgoing.on('response', (incoming) => {
        const { statusCode: status = 0, headers } = incoming
        const parts: Buffer[] = []
        let bytes = 0
        // The status counts even if the body is cut off.
        const done = () => resolve({ status, headers, body: Buffer.concat(parts).toString() })
        outgoing.on('error', done).off('error', reject).off('close', unanswered)
        incoming.on('error', done)
        incoming.on('close', done)
        incoming.on('data', (part: Buffer) => {
          bytes += part.length
          if (bytes <= BODY_BYTES_MAX) parts.push(part)
          else outgoing.destroy()
        })
      })
      outgoing.end(body)
    })
  }

  #watchConnection(outgoing: ClientRequest) {
    const { connectMs, allowPrivate } = this.#settings
    const abort = () => outgoing.destroy(new Error(`No connection within ${connectMs} ms.`))
    const connecting = setTimeout(abort, connectMs)
    outgoing.on('close', () => clearTimeout(connecting))
    outgoing.on('socket', (socket) => {
      if (outgoing.reusedSocket) return clearTimeout(connecting)
      socket.once('secureConnect', () => clearTimeout(connecting))
      socket.once('connect', () => {
        if (allowPrivate || isPublicAddress(socket.remoteAddress ?? '')) return
        outgoing.destroy(new AddressRefused(`${socket.remoteAddress} is not a public address.`))
      })
    })
  }
}
