import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { atTheEnd, type Ending } from './endings.ts'

/** The way of one node to its database, which can fail as networks do. */
export class DatabaseWay {
  readonly #server: Server
  #port: number
  readonly #pairs = new Set<{ near: Socket; far: Socket }>()
  /** Connections that came while nothing passed. */
  #held: Socket[] = []
  #state: 'open' | 'stalled' | 'refused' = 'open'

  /** @param port where the database listens */
  static async start(t: Ending, port: number): Promise<DatabaseWay> {
    const way = new DatabaseWay(port)
    way.#server.listen(0, '127.0.0.1')
    await once(way.#server, 'listening')
    atTheEnd(t, () => {
      way.#server.close()
      way.drop()
    })
    return way
  }

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer((near) => this.#accept(near))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** New connections go there from now on, as when a name gets another address. */
  leadTo(port: number): void {
    this.#port = port
  }

  /** Nothing passes any more, without any notice: not even that the other side has gone. */
  stall(): void {
    this.#state = 'stalled'
    for (const { near, far } of this.#pairs) {
      for (const [from, to] of [[near, far] as const, [far, near] as const]) from.unpipe(to).pause()
    }
  }

  /** Cuts every connection, and refuses new ones. */
  refuse(): void {
    this.#state = 'refused'
    this.drop()
  }

  /** Cuts every connection. */
  drop(): void {
    for (const { near, far } of this.#pairs) for (const socket of [near, far]) socket.resetAndDestroy()
    for (const socket of this.#held.splice(0)) socket.resetAndDestroy()
  }

  /** What was held up passes now. */
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
