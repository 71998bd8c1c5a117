import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atTheEnd, type Ending } from './endings.ts'

/** The application name of the connection on which a node gets notifications. */
const LISTENER = 'restante listener'

/** A proxy between one node and its database that can drop notifications without an error. */
export class SilencedProxy {
  readonly #server: Server
  readonly #listeners = new Set<Socket>()
  #silent = false

  /** @param port where the database listens */
  static async start(t: Ending, port: number): Promise<SilencedProxy> {
    const sockets = new Set<Socket>()
    const proxy = new SilencedProxy(port, sockets)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    atTheEnd(t, () => {
      proxy.#server.close()
      for (const socket of sockets) socket.destroy()
    })
    return proxy
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
