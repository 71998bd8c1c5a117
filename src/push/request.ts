import type { ClientRequest, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { AddressRefused, checkedLookup, type Resolve, resolveWith } from './lookup.ts'
import { isPublicAddress } from './public-addresses.ts'

/** Of the body of an answer. */
const BODY_BYTES_MAX = 4_096

/** Idle connections to one service and in all, and how long they are kept. */
const IDLE_PER_SERVICE_MAX = 4
const IDLE_MAX = 64
const IDLE_MS = 30_000

/** Where a name has several addresses. Node's own 250 ms cut connections off that are merely far. */
const NEXT_ADDRESS_MS = 1_000

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** The beginning of the body, for the log. */
  body: string
}

export interface WayOutSettings {
  /** Whether addresses of this machine and its networks will do. */
  allowPrivate: boolean
  /** From the start to the end of the TLS handshake. */
  connectMs: number
  totalMs: number
  /** For tests: in the place of the name servers. */
  resolve?: Resolve
  /** For tests: certificates to trust in the place of the public ones. */
  ca?: string
}

/** How requests go out: over checked connections, within limits of time and size, without redirects. */
export class WayOut {
  readonly #settings: WayOutSettings
  readonly #agent: Agent
  readonly #underWay = new Set<ClientRequest>()
  #closed = false

  constructor(settings: WayOutSettings) {
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
   * Sends a request. An address in the URL was checked before: those are not looked up.
   *
   * @throws AddressRefused where a name leads inward, and errors of the system
   */
  async post(url: URL, headers: OutgoingHttpHeaders, body: Buffer): Promise<Answer> {
    const { totalMs } = this.#settings
    const endsAtMs = performance.now() + totalMs
    for (;;) {
      const idle = Object.values(this.#agent.freeSockets).reduce((sum, list = []) => sum + list.length, 0)
      const last = idle < IDLE_MAX ? {} : { Connection: 'close' }
      const outgoing = request(url, { method: 'POST', agent: this.#agent, headers: { ...headers, ...last } })
      const cut = () => outgoing.destroy(new Error(`No answer within ${totalMs} ms.`))
      const ending = setTimeout(cut, endsAtMs - performance.now())
      this.#underWay.add(outgoing)
      try {
        return await this.#exchange(outgoing, body)
      } catch (error) {
        // The service has closed a kept connection in the moment of its use. There are few of them.
        const { code = '' } = error as NodeJS.ErrnoException
        const isStale = outgoing.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(code)
        if (!isStale || performance.now() >= endsAtMs || this.#closed) throw error
      } finally {
        clearTimeout(ending)
        this.#underWay.delete(outgoing)
      }
    }
  }

  /** Cuts what is under way off. */
  close(): void {
    this.#closed = true
    for (const outgoing of this.#underWay) outgoing.destroy(new Error('The server stops.'))
    this.#agent.destroy()
  }

  #exchange(outgoing: ClientRequest, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      // Without an error where the service changes to another protocol (101).
      const unanswered = () => reject(new Error('The connection has ended without an answer.'))
      outgoing.on('error', reject).on('close', unanswered)
      this.#watchConnection(outgoing)
      outgoing.on('response', (incoming) => {
        const { statusCode: status = 0, headers } = incoming
        const parts: Buffer[] = []
        let bytes = 0
        // However the body ends, the status counts.
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
    const cut = () => outgoing.destroy(new Error(`No connection within ${connectMs} ms.`))
    const connecting = setTimeout(cut, connectMs)
    outgoing.on('close', () => clearTimeout(connecting))
    outgoing.on('socket', (socket) => {
      if (outgoing.reusedSocket) return clearTimeout(connecting)
      socket.once('secureConnect', () => clearTimeout(connecting))
      socket.once('connect', () => {
        if (allowPrivate || isPublicAddress(socket.remoteAddress ?? '')) return
        outgoing.destroy(new AddressRefused(`${socket.remoteAddress} is no public address.`))
      })
    })
  }
}
