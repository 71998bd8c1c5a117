/**
 * A push service on this machine, with TLS and a certificate of its own. It checks hints as strictly as the
 * strictest service, decrypts them with the key of the subscription, and answers as a test requires.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { atTheEnd, type Ending } from './endings.ts'
import { decrypt, newReceiver, type Receiver, type VapidClaims, verifyVapid } from './web-push.ts'

/** For `NODE_EXTRA_CA_CERTS` of a server in a process of its own. */
export const CA_FILE = fileURLToPath(new URL('../fixtures/push-service.crt', import.meta.url))

/** For the `pushOptions` of a server in this process. */
export const CA = readFileSync(CA_FILE, 'utf8')

const KEY = readFileSync(fileURLToPath(new URL('../fixtures/push-service.key', import.meta.url)))

/** The result of a browser's `PushSubscription.toJSON()`. */
export interface Subscription {
  endpoint: string
  expirationTime: null
  keys: { p256dh: string; auth: string }
}

/** A received hint. */
export interface ReceivedHint {
  endpoint: string
  /** The text with its padding, and the parsed JSON. */
  text: string
  hint: { type?: string; newest?: number }
  /** The length of the encrypted body. */
  size: number
  headers: IncomingHttpHeaders
  /** When it arrived, in ms of `performance.now()`, and the answer. */
  atMs: number
  reply: Reply | undefined
  /** The key of the signature, and its claims. */
  key: string
  claims: VapidClaims
}

/**
 * An answer: a status, perhaps with headers and a body; no answer while the client waits; the end of the
 * connection; another protocol; or a body that arrives byte by byte, or never ends.
 */
export type Reply =
  | { status: number; headers?: Record<string, string>; body?: string }
  | 'hang'
  | 'close'
  | 'upgrade'
  | 'trickle'
  | 'flood'

const TRICKLE_EVERY_MS = 10
const UPGRADE = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'
const FLOOD = Buffer.alloc(65_536)

export class PushService {
  /** `https://127.0.0.1:PORT` */
  readonly origin: string
  /** All received hints, the oldest first, including refused ones. */
  readonly received: ReceivedHint[] = []
  /** Invalid requests, and why. */
  readonly faults: string[] = []
  /** Connections that were made to it. */
  connections = 0
  /** Requests whose answers are unfinished. */
  underWay = 0
  underWayMax = 0
  /** Bytes of bodies that do not end. */
  poured = 0
  /** The next answers instead of 201, from `replyWith`. */
  readonly #replies: Reply[] = []
  /** The answer when no other reply is left. */
  reply: Reply = { status: 201, headers: { TTL: '86400' } }
  readonly #server: Server
  readonly #receivers = new Map<string, Receiver>()
  /** Paths whose keys have changed: a hint with the older keys may be in flight. */
  readonly #replaced = new Set<string>()
  #subscriptions = 0

  private constructor(server: Server) {
    this.#server = server
    this.origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('secureConnection', () => {
      this.connections += 1
    })
    server.on('request', (request, response) => void this.#serve(request, response))
  }

  static async start(t: Ending): Promise<PushService> {
    const server = createServer({ key: KEY, cert: CA }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    atTheEnd(t, async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    })
    return new PushService(server)
  }

  /**
   * A new subscription, as the browser returns it to its page.
   *
   * @param path that of an older subscription to replace
   */
  subscribe(path = this.#newPath()): Subscription {
    const receiver = newReceiver()
    if (this.#receivers.has(path)) this.#replaced.add(path)
    this.#receivers.set(path, receiver)
    const { p256dh, auth } = receiver
    return { endpoint: this.origin + path, expirationTime: null, keys: { p256dh, auth } }
  }

  #newPath() {
    this.#subscriptions += 1
    return `/push/${this.#subscriptions}?up=1`
  }

  /** The next answers, one per request. */
  replyWith(...replies: Reply[]): void {
    this.#replies.push(...replies)
  }

  /** Answers with `reply` from now on. */
  endReplies(): void {
    this.#replies.length = 0
  }

  /** Resolves with all hints when there are at least this many. */
  async got(count: number): Promise<ReceivedHint[]> {
    while (this.received.length < count) await once(this.#server, 'hint')
    return this.received
  }

  async #serve(request: IncomingMessage, response: ServerResponse) {
    this.underWay += 1
    this.underWayMax = Math.max(this.underWayMax, this.underWay)
    response.on('close', () => {
      this.underWay -= 1
    })
    // A client that has disconnected sends nothing more.
    const parts = await request.toArray().catch(() => undefined)
    if (!parts) return
    const known = this.received.length
    const fault = this.#receive(request, Buffer.concat(parts))
    if (fault) this.faults.push(`${request.method} ${request.url}: ${fault.body}`)
    const reply = fault ?? this.#replies.shift() ?? this.reply
    const hint = this.received[known]
    if (hint) hint.reply = reply
    this.#answer(response, reply)
    this.#server.emit('hint')
  }

  /** @returns the refusal of an invalid hint */
  #receive({ method, url = '', headers }: IncomingMessage, body: Buffer) {
    const receiver = this.#receivers.get(url)
    if (!receiver || method !== 'POST') return { status: 404, body: 'no subscription' }
    const vapid = verifyVapid(headers.authorization ?? '')
    if (!vapid) return { status: 401, body: 'no signature' }
    const { claims, key } = vapid
    const inS = claims.exp - Date.now() / 1_000
    if (claims.aud !== this.origin) return { status: 403, body: `aud ${claims.aud}` }
    if (!(inS > 0 && inS <= 86_400)) return { status: 403, body: `exp in ${inS} s` }
    if (!/^(mailto:|https:)/.test(claims.sub)) return { status: 403, body: `sub ${claims.sub}` }
    if (!/^\d+$/.test(String(headers['ttl']))) return { status: 400, body: 'no TTL' }
    if (!/^[A-Za-z]{1,32}$/.test(String(headers['topic']))) return { status: 400, body: 'no Topic' }
    if (headers['content-encoding'] !== 'aes128gcm') return { status: 400, body: 'no Content-Encoding' }
    let text: string
    try {
      text = decrypt(body, receiver)
    } catch (error) {
      // A push service cannot see this.
      if (!this.#replaced.has(url)) throw error
      return undefined
    }
    const endpoint = this.origin + url
    const of = { endpoint, text, size: body.length, headers, key, claims }
    this.received.push({ ...of, hint: JSON.parse(text), atMs: performance.now(), reply: undefined })
    return undefined
  }

  #answer(response: ServerResponse, reply: Reply) {
    if (reply === 'hang') return
    if (reply === 'close') response.destroy()
    else if (reply === 'upgrade') response.socket?.write(UPGRADE)
    else if (reply === 'trickle') {
      response.writeHead(201)
      const drip = setInterval(() => response.write('.'), TRICKLE_EVERY_MS)
      response.on('close', () => clearInterval(drip))
    } else if (reply === 'flood') {
      response.writeHead(201)
      const pour = () => {
        do this.poured += FLOOD.length
        while (!response.destroyed && response.write(FLOOD))
      }
      response.on('drain', pour)
      pour()
    } else response.writeHead(reply.status, reply.headers).end(reply.body)
  }
}
