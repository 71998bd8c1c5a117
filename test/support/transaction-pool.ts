import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { atTheEnd, type Ending } from './endings.ts'

const READY_FOR_QUERY = 'Z'
const IDLE = 'I'

/**
 * A pool in front of PostgreSQL that behaves like PgBouncer in transaction mode: after each transaction the
 * connection serves another client, and data that arrives while it serves none is lost. Every client brings a
 * connection, so that all are logged in.
 *
 * @param port where the database listens
 * @returns the port to connect to
 */
export async function startTransactionPool(t: Ending, port: number): Promise<number> {
  const idle: Backend[] = []
  const waiting: Client[] = []
  const sockets = new Set<Socket>()

  const release = (backend: Backend) => {
    backend.client = undefined
    const next = waiting.shift()
    if (next) next.take(backend)
    else idle.push(backend)
  }

  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    }
    const client = new Client(near, () => {
      const backend = idle.shift()
      if (backend) client.take(backend)
      else waiting.push(client)
    })
    const backend = new Backend(far, client, release)
    client.take(backend)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTheEnd(t, () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** A client, which has a database connection only during a transaction. */
class Client {
  readonly #socket: Socket
  #backend: Backend | undefined
  #pending: Buffer[] = []

  constructor(socket: Socket, acquire: () => void) {
    this.#socket = socket
    socket.on('data', (data: Buffer) => {
      if (this.#backend) this.#backend.send(data)
      else if (this.#pending.push(data) === 1) acquire()
    })
  }

  take(backend: Backend) {
    this.#backend = backend
    backend.client = this
    for (const data of this.#pending.splice(0)) backend.send(data)
  }

  receive(data: Buffer) {
    this.#socket.write(data)
  }

  leave() {
    this.#backend = undefined
  }
}

class Backend {
  client: Client | undefined
  readonly #socket: Socket
  #unread = Buffer.alloc(0)

  constructor(socket: Socket, client: Client, release: (backend: Backend) => void) {
    this.#socket = socket
    this.client = client
    socket.on('data', (data: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, data])
      for (;;) {
        const length = this.#unread.length < 5 ? Number.POSITIVE_INFINITY : this.#unread.readUInt32BE(1) + 1
        if (this.#unread.length < length) return
        const message = this.#unread.subarray(0, length)
        this.#unread = this.#unread.subarray(length)
        this.client?.receive(message)
        const over = message.toString('latin1', 0, 1) === READY_FOR_QUERY
        if (!over || message.toString('latin1', 5, 6) !== IDLE) continue
        this.client?.leave()
        release(this)
      }
    })
  }

  send(data: Buffer) {
    this.#socket.write(data)
  }
}
