import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'
import type { Hearing } from '../shared-database.ts'
import type { Barrier } from './barrier.ts'
import { configureConnection, connectionOptions, ignoreErrors, type Place } from './connection.ts'
import type { RestoreCheck } from './restores.ts'

/** As it is called in `pg_stat_activity`. */
const LISTENER = 'restante listener'

const BACK_OFF_MS_MIN = 50
const BACK_OFF_MS_MAX = 2_000

/** A connection that does not answer for so long is dead. */
const PULSE_MS_MAX = 2_000

interface Connection {
  /** Settles when it is of no use any more. */
  broken: Promise<void>
}

/**
 * Hears what the nodes tell each other. A connection of its own, because LISTEN belongs to one, and pools
 * hand theirs around. When it breaks it is made again; what was said in the meantime is lost.
 */
export class Listener {
  readonly #place: Place
  readonly #nodeId: string
  readonly #barrier: Barrier
  readonly #checkRestore: RestoreCheck
  readonly #closing = new AbortController()
  #hearing: Hearing | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #client: pg.Client | undefined

  constructor(place: Place, nodeId: string, barrier: Barrier, checkRestore: RestoreCheck) {
    this.#place = place
    this.#nodeId = nodeId
    this.#barrier = barrier
    this.#checkRestore = checkRestore
  }

  /** Resolves when it listens. From then on it connects again by itself, when it must. */
  async open(): Promise<void> {
    this.#ended = this.#listenAgainAndAgain(await this.#connect())
  }

  /** Has somebody told what it hears, from now on. */
  tell(hearing: Hearing): void {
    this.#hearing = hearing
    if (this.#client) hearing.onConnected()
  }

  /**
   * Resolves when all that was committed before was heard, and acted upon: PostgreSQL sends notifications
   * that have come for a connection before it is ready for the next query.
   */
  async pulse(): Promise<void> {
    if (!this.#client) throw new DatabaseUnavailable('There is no connection to hear over.')
    // Of an interface that its types leave out.
    const query: pg.QueryConfig & { query_timeout: number } = { text: 'SELECT', query_timeout: PULSE_MS_MAX }
    await this.#client.query(query)
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

  async #listenAgainAndAgain(first: Connection): Promise<void> {
    const { signal } = this.#closing
    let connection: Connection | undefined = first
    for (let backOffMs = BACK_OFF_MS_MIN; ; ) {
      if (connection) {
        backOffMs = BACK_OFF_MS_MIN
        await connection.broken
        this.#client = undefined
        if (!signal.aborted) this.#hearing?.onDisconnected()
      } else backOffMs = Math.min(2 * backOffMs, BACK_OFF_MS_MAX)
      // Not all nodes at the same moment.
      await pause(backOffMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      connection = await this.#connect().catch(() => undefined)
      // It may have been closed meanwhile, when there was no connection to give up.
      if (signal.aborted) this.reconnect()
      else if (connection) this.#hearing?.onConnected()
    }
  }

  /** Resolves when it listens, with what settles when the connection has broken. */
  async #connect(): Promise<Connection> {
    const { url, schema, channel } = this.#place
    const client = new pg.Client({ ...connectionOptions(url), application_name: LISTENER })
    ignoreErrors(client)
    const broken = new Promise<void>((resolve) => {
      client.once('end', resolve)
      client.once('error', () => resolve())
    }).then(() => {
      client.end().catch(() => {})
    })
    client.on('notification', ({ payload = '' }) => this.#hear(client, payload))
    try {
      await client.connect()
      await configureConnection(client, schema)
      // Before every poll that waits looks again: it must find the gap.
      await this.#checkRestore(client)
      // What nodes tell each other here is nothing that must outlive a crash.
      await client.query(`SET synchronous_commit = off; LISTEN ${channel}`)
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    this.#client = client
    return { broken }
  }

  #hear(client: pg.Client, payload: string) {
    const [what, first = '', second = '', third = ''] = payload.split(' ', 4)
    const own = first === this.#nodeId
    if (what === 'ended') this.#hearing?.onEnded({ id: first, username: second }, third === 'disabled')
    // This node knows what it has added itself.
    else if (what === 'new' && !own) this.#hearNew(payload.split(' ').slice(2))
    else if (what === 'probe' && own) this.#hearing?.onProbe()
    else if (what === 'passed' && own) this.#barrier.passed(Number(second), third)
    else if (what === 'barrier' && !own) {
      const passed = `passed ${first} ${second} ${this.#nodeId}`
      // Without an answer the other node waits for a second.
      client.query('SELECT pg_notify($1, $2)', [this.#place.channel, passed]).catch(() => {})
    }
  }

  #hearNew(pairs: string[]) {
    for (let at = 0; at + 1 < pairs.length; at += 2)
      this.#hearing?.onAdded(pairs[at] as string, Number(pairs[at + 1]))
  }
}
