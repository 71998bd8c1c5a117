import { connect, type Socket } from 'node:net'

const HEAD_END = '\r\n\r\n'

/**
 * One kept-alive connection that knows just enough HTTP/1.1: one request at a time, answers with a
 * Content-Length. A full client takes more time per request than the floors do.
 */
export class Connection {
  readonly #socket: Socket
  #waiting: { resolve: (answer: Buffer) => void; reject: (error: Error) => void } | undefined
  #chunks: Buffer[] = []
  #missing = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('The connection was closed.')))
  }

  /** @param localAddress one of 127.0.0.0/8, for more connections than one source address has ports */
  static open(url: string, localAddress = '127.0.0.1'): Promise<Connection> {
    const { hostname: host, port } = new URL(url)
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port), localAddress, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Connection(socket)))
    })
  }

  /** @returns the body of the answer @throws Error when the status differs */
  async expect(status: number, request: string): Promise<Buffer> {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      if (this.#socket.destroyed) reject(new Error('The connection was closed.'))
      else this.#socket.write(request, 'latin1')
    })
    if (Number(answer.toString('latin1', 9, 12)) !== status)
      throw new Error(`Expected ${status}, got ${answer.toString().slice(0, 500)}`)
    return answer.subarray(answer.indexOf(HEAD_END) + HEAD_END.length)
  }

  /** Resets the connection, so that its port is free at once. */
  close(): void {
    this.#waiting = undefined
    this.#socket.resetAndDestroy()
  }

  #take(chunk: Buffer) {
    // Servers write the headers in one piece, with some of the body or all of it.
    if (this.#chunks.length === 0) {
      const headEnd = chunk.indexOf(HEAD_END)
      const [, length] = /\r\ncontent-length: (\d+)/i.exec(chunk.toString('latin1', 0, headEnd)) ?? []
      this.#missing = headEnd + HEAD_END.length + Number(length)
    }
    this.#chunks.push(chunk)
    this.#missing -= chunk.length
    if (this.#missing > 0) return
    const answer = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : chunk
    this.#chunks = []
    this.#waiting?.resolve(answer)
  }
}

/** Opens a connection, uses it, and closes it. */
export async function withConnection<T>(
  url: string,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await Connection.open(url)
  const result = await use(connection)
  connection.close()
  return result
}
