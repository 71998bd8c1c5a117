import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  body: Buffer
}

interface Waiting {
  resolve: (answer: Answer) => void
  reject: (error: Error) => void
}

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * One kept-alive connection that knows just enough HTTP/1.1: one request at a time, answers with a
 * Content-Length. A full client takes more time for a request than the servers that it should measure.
 */
export class Connection {
  readonly #socket: Socket
  #waiting: Waiting | undefined
  /** Why there will be no more answers. */
  #broken: Error | undefined
  #chunks: Buffer[] = []
  #received = 0
  /** Bytes of the answer under way; 0 until its head has come. */
  #expected = 0
  #bodyStart = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('The connection was closed.')))
  }

  /** @param localAddress where the ports of one source address would not do: another of 127.0.0.0/8 */
  static open(url: string, localAddress = '127.0.0.1'): Promise<Connection> {
    const port = Number(new URL(url).port)
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  request(text: string): Promise<Answer> {
    if (this.#broken) return Promise.reject(this.#broken)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(text, 'latin1')
    })
  }

  /** Ends it without a goodbye, so that its port is free again at once. */
  close(): void {
    this.#waiting = undefined
    this.#socket.resetAndDestroy()
  }

  #take(chunk: Buffer) {
    this.#chunks.push(chunk)
    this.#received += chunk.length
    if (this.#expected === 0) this.#readHead()
    if (this.#expected === 0 || this.#received < this.#expected) return

    const whole = this.#whole()
    const answer = { status: Number(whole.toString('latin1', 9, 12)), body: whole.subarray(this.#bodyStart) }
    this.#chunks = []
    this.#received = 0
    this.#expected = 0
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve(answer)
  }

  #readHead() {
    const whole = this.#whole()
    const headEnd = whole.indexOf(HEAD_END)
    if (headEnd < 0) return
    const [, length] = /\r\ncontent-length: (\d+)/i.exec(whole.toString('latin1', 0, headEnd)) ?? []
    this.#bodyStart = headEnd + HEAD_END.length
    this.#expected = this.#bodyStart + Number(length ?? 0)
  }

  #whole(): Buffer {
    const [first] = this.#chunks
    if (first && this.#chunks.length === 1) return first
    const whole = Buffer.concat(this.#chunks)
    this.#chunks = [whole]
    return whole
  }

  #fail(error: Error) {
    this.#broken ??= error
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }
}

/** Refuses what a client would not have expected. */
export function expectStatus({ status, body }: Answer, expected: number): void {
  if (status !== expected)
    throw new Error(`Expected ${expected}, got ${status}: ${body.toString().slice(0, 300)}`)
}
