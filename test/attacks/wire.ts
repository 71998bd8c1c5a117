import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The address of the attacked server, and the source address of the attack. */
export interface Wire {
  port: number
  /** A loopback address for the attacker only; undefined if the system has just one. */
  from?: string | undefined
}

/** The cost and the results of an attack. */
export interface Counts {
  connections: number
  /** Written requests, answered or not. */
  requests: number
  sentBytes: number
  /** The number of answers by status; 0 for connections that ended before their answer. */
  statuses: Record<number, number>
}

export const noCounts = (): Counts => ({ connections: 0, requests: 0, sentBytes: 0, statuses: {} })

const HOST = '127.0.0.1'
const END_OF_HEAD = '\r\n\r\n'

/** The shortest form of a request. */
export function requestText(
  line: string,
  { token, from, body }: { token?: string; from?: string; body?: string } = {},
): string {
  const headers = [
    'Host: x',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(from === undefined ? [] : [`X-Forwarded-For: ${from}`]),
    ...(body === undefined
      ? []
      : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
  ]
  return `${line} HTTP/1.1\r\n${headers.join('\r\n')}${END_OF_HEAD}${body ?? ''}`
}

/** Connects, and counts. Resolves with undefined when the server refuses the connection. */
export async function open({ port, from }: Wire, counts: Counts): Promise<Socket | undefined> {
  const socket = connect({ host: HOST, port, ...(from !== undefined && { localAddress: from }) })
  // The server may cut the connection at any time.
  socket.on('error', () => {})
  socket.setNoDelay(true)
  counts.connections += 1
  const ended = once(socket, 'close').then(() => undefined)
  return Promise.race([once(socket, 'connect').then(() => socket), ended]).catch(() => undefined)
}

export function write(socket: Socket, text: string, requests: number, counts: Counts): void {
  counts.requests += requests
  counts.sentBytes += Buffer.byteLength(text)
  socket.write(text)
}

/** Reads answers one after the other, as fast as possible. */
export class Answers {
  readonly #counts: Counts
  #head = ''
  #bodyLeft = 0
  #status = 0
  #waiting: ((status: number) => void)[] = []
  #ended = false

  constructor(socket: Socket, counts: Counts) {
    this.#counts = counts
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => {
      this.#ended = true
      for (const resolve of this.#waiting.splice(0)) resolve(this.#count(0))
    })
  }

  /** Resolves with the status of the next answer, or 0 when the connection ends before it. */
  next(): Promise<number> {
    return new Promise((resolve) => {
      if (this.#ended) resolve(0)
      else this.#waiting.push(resolve)
    })
  }

  #take(chunk: Buffer) {
    let at = 0
    while (at < chunk.length) {
      if (this.#bodyLeft > 0) {
        const taken = Math.min(this.#bodyLeft, chunk.length - at)
        this.#bodyLeft -= taken
        at += taken
        if (this.#bodyLeft === 0) this.#answered()
        continue
      }
      const before = this.#head.length
      this.#head += chunk.toString('latin1', at)
      const end = this.#head.indexOf(END_OF_HEAD)
      if (end < 0) return
      at += end + END_OF_HEAD.length - before
      this.#status = Number(this.#head.slice(9, 12))
      this.#bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(this.#head.slice(0, end))?.[1] ?? 0)
      this.#head = ''
      if (this.#bodyLeft === 0) this.#answered()
    }
  }

  #answered() {
    const status = this.#count(this.#status)
    this.#waiting.shift()?.(status)
  }

  #count(status: number) {
    this.#counts.statuses[status] = (this.#counts.statuses[status] ?? 0) + 1
    return status
  }
}
