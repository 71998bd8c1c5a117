import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atTheEnd, type Ending } from './endings.ts'

/** A proxy between one node and its database that fails like a network. */
export class FaultyProxy {
  readonly #server: Server
  #port: number
  readonly #pairs = new Set<{ near: Socket; far: Socket }>()
  /** Connections that were opened while the proxy stalled. */
  #held: Socket[] = []
  #state: 'open' | 'stalled' | 'refused' = 'open'

  /** @param port where the database listens */
  static async start(t: Ending, port: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(port)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    atTheEnd(t, () => {
      proxy.#server.close()
      proxy.drop()
    })
    return proxy
  }

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer((near) => this.#accept(near))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Sends new connections to another port, like a name that gets another address. */
  redirectTo(port: number): void {
    this.#port = port
  }

  /** Passes nothing on, without any error: not even the end of the other side. */
  stall(): void {
    this.#state = 'stalled'
    for (const { near, far } of this.#pairs) {
      for (const [from, to] of [[near, far] as const, [far, near] as const]) from.unpipe(to).pause()
    }
  }

  /** Resets every connection, and refuses new ones. */
  refuse(): void {
    this.#state = 'refused'
    this.drop()
  }

  /** Resets every connection. */
  drop(): void {
    for (const { near, far } of this.#pairs) for (const socket of [near, far]) socket.resetAndDestroy()
    for (const socket of this.#held.splice(0)) socket.resetAndDestroy()
  }

  /** Passes everything on again, including what was held. */
  heal(): void {
    this.#state = 'open'
    for (const { near, far } of this.#pairs) join(near, far)
    for (const near of this.#held.splice(0)) this.#connect(near)
  }

  #accept(near: Socket) {
    near.on('error', () => {})
    if (this.#state === 'open') this.#connect(near)
    else if (this.#state === 'stalled') this.#held.push(near.pause())
    else near.resetAndDestroy()
  }

  #connect(near: Socket) {
    const far = connect(this.#port, '127.0.0.1').on('error', () => {})
    const pair = { near, far }
    this.#pairs.add(pair)
    for (const [here, there] of [[near, far] as const, [far, near] as const]) {
      here.once('close', (broken) => {
        this.#pairs.delete(pair)
        if (broken) there.resetAndDestroy()
        else there.end()
      })
    }
    join(near, far)
  }
}

function join(near: Socket, far: Socket) {
  near.pipe(far)
  far.pipe(near)
}
