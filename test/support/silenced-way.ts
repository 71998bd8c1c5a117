import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atTheEnd, type Ending } from './endings.ts'

/** How the connection over which a node hears the others calls itself. */
const LISTENER = 'restante listener'

/** The way of one node to its database, on which what it should hear can be swallowed, without an error. */
export class SilencedWay {
  readonly #server: Server
  readonly #listeners = new Set<Socket>()
  #silent = false

  /** @param port where the database listens */
  static async start(t: Ending, port: number): Promise<SilencedWay> {
    const sockets = new Set<Socket>()
    const way = new SilencedWay(port, sockets)
    way.#server.listen(0, '127.0.0.1')
    await once(way.#server, 'listening')
    atTheEnd(t, () => {
      way.#server.close()
      for (const socket of sockets) socket.destroy()
    })
    return way
  }

  private constructor(to: number, sockets: Set<Socket>) {
    this.#server = createServer((near) => {
      const far = connect(to, '127.0.0.1')
      for (const socket of [near, far]) {
        sockets.add(socket)
        socket.on('error', () => {}).once('close', () => sockets.delete(socket))
      }
      near.once('close', () => far.destroy())
      far.once('close', () => near.destroy())
      near.once('data', (start: Buffer) => {
        if (start.includes(LISTENER)) this.#listeners.add(far)
        if (start.includes(LISTENER) && this.#silent) far.pause()
        else far.pipe(near)
      })
      near.pipe(far)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  silence(): void {
    this.#silent = true
    for (const far of this.#listeners) far.unpipe().pause()
  }
}
