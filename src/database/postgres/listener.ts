import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Hearing } from '../shared-database.ts'
import { CHANNEL } from './channel.ts'
import { connectionOptions, settle } from './connection.ts'

const BACK_OFF_MS_MIN = 50
const BACK_OFF_MS_MAX = 2_000

/**
 * Hears what the nodes tell each other. A connection of its own, because LISTEN belongs to one, and pools
 * hand theirs around. When it breaks it is made again; what was said in the meantime is lost.
 */
export class Listener {
  readonly #url: string
  readonly #nodeId: string
  readonly #hearing: Hearing
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #client: pg.Client | undefined

  constructor(url: string, nodeId: string, hearing: Hearing) {
    this.#url = url
    this.#nodeId = nodeId
    this.#hearing = hearing
    this.#ended = this.#listenAgainAndAgain()
  }

  /** Gives the connection up that seems to be dead, for a new one. */
  reconnect(): void {
    // The socket itself: an end in good order would wait for the other side.
    this.#client?.connection.stream.destroy()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.reconnect()
    await this.#ended
  }

  async #listenAgainAndAgain(): Promise<void> {
    const { signal } = this.#closing
    for (let backOffMs = BACK_OFF_MS_MIN; !signal.aborted; ) {
      const listened = await this.#listen()
      backOffMs = listened ? BACK_OFF_MS_MIN : Math.min(2 * backOffMs, BACK_OFF_MS_MAX)
      // Not all nodes at the same moment.
      await pause(backOffMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
    }
  }

  /** Resolves when the connection has ended, with whether there was any. */
  async #listen(): Promise<boolean> {
    const client = new pg.Client(connectionOptions(this.#url))
    const ended = new Promise<void>((resolve) => {
      client.once('end', resolve)
      // Followed by the end; without a listener it would end the process.
      client.on('error', () => resolve())
    })
    client.on('notification', ({ payload = '' }) => this.#hear(payload))
    this.#client = client
    try {
      await client.connect()
      await settle(client)
      await client.query(`LISTEN ${CHANNEL}`)
    } catch {
      client.end().catch(() => {})
      return false
    }
    this.#hearing.onConnected()
    await ended
    this.#client = undefined
    if (!this.#closing.signal.aborted) this.#hearing.onDisconnected()
    client.end().catch(() => {})
    return true
  }

  #hear(payload: string) {
    const [what, ...words] = payload.split(' ')
    const [first = '', second = ''] = words
    if (what === 'ended') this.#hearing.onEnded({ id: first, username: second })
    // What this node has added it knows without being told.
    else if (what === 'new' && first !== this.#nodeId) this.#hearNew(words.slice(1))
    else if (what === 'probe' && first === this.#nodeId) this.#hearing.onProbe()
  }

  #hearNew(pairs: string[]) {
    for (let at = 0; at + 1 < pairs.length; at += 2)
      this.#hearing.onAdded(pairs[at] as string, Number(pairs[at + 1]))
  }
}
