import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseUnavailable } from '../database.ts'
import type { NotificationHandlers } from '../shared-database.ts'
import type { Barrier } from './barrier.ts'
import { configureConnection, connectionOptions, ignoreErrors, type Place } from './connection.ts'
import type { RestoreCheck } from './restores.ts'

/** The name of the connection in `pg_stat_activity`. */
const LISTENER = 'restante listener'

const BACK_OFF_MS_MIN = 50
const BACK_OFF_MS_MAX = 2_000

/** A connection that does not answer for so long is dead. */
const PULSE_MS_MAX = 2_000

interface ListeningConnection {
  /** Settles when the connection has broken. */
  broken: Promise<void>
}

/**
 * Receives notifications, on a connection of its own: LISTEN belongs to one connection, and pools share
 * theirs. When it breaks, a new one is made; notifications sent meanwhile are lost.
 */
export class Listener {
  readonly #place: Place
  readonly #nodeId: string
  readonly #barrier: Barrier
  readonly #checkRestore: RestoreCheck
  readonly #closing = new AbortController()
  #handlers: NotificationHandlers | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #client: pg.Client | undefined

  constructor(place: Place, nodeId: string, barrier: Barrier, checkRestore: RestoreCheck) {
    this.#place = place
    this.#nodeId = nodeId
    this.#barrier = barrier
    this.#checkRestore = checkRestore
  }

  /** Resolves when it listens. From then on it reconnects by itself. */
  async open(): Promise<void> {
    this.#ended = this.#keepListening(await this.#connect())
  }

  /** Sets the handlers that notifications go to from now on. */
  subscribe(handlers: NotificationHandlers): void {
    this.#handlers = handlers
    if (this.#client) handlers.onConnected()
  }

  /**
   * Resolves when the notifications of all earlier commits were handled: PostgreSQL sends those that are
   * pending for a connection before it is ready for the next query.
   */
  async pulse(): Promise<void> {
    if (!this.#client) throw new DatabaseUnavailable('There is no connection for notifications.')
    // An option that the types of pg leave out.
    const query: pg.QueryConfig & { query_timeout: number } = { text: 'SELECT', query_timeout: PULSE_MS_MAX }
    await this.#client.query(query)
  }

  /** Replaces a connection that seems to be dead. */
  reconnect(): void {
    // Destroys the socket: an orderly end would wait for the other side.
    this.#client?.connection.stream.destroy()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.reconnect()
    await this.#ended
  }

  async #keepListening(first: ListeningConnection): Promise<void> {
    const { signal } = this.#closing
    let connection: ListeningConnection | undefined = first
    for (let backOffMs = BACK_OFF_MS_MIN; ; ) {
      if (connection) {
        backOffMs = BACK_OFF_MS_MIN
        await connection.broken
        this.#client = undefined
        if (!signal.aborted) this.#handlers?.onDisconnected()
      } else backOffMs = Math.min(2 * backOffMs, BACK_OFF_MS_MAX)
      // Random, so that nodes do not reconnect together.
      await pause(backOffMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      connection = await this.#connect().catch(() => undefined)
      // `close` may have been called while there was no connection to end.
      if (signal.aborted) this.reconnect()
      else if (connection) this.#handlers?.onConnected()
    }
  }

  /** Resolves with the connection when it listens. */
  async #connect(): Promise<ListeningConnection> {
    const { url, schema, channel } = this.#place
    const client = new pg.Client({ ...connectionOptions(url), application_name: LISTENER })
    ignoreErrors(client)
    const broken = new Promise<void>((resolve) => {
      client.once('end', resolve)
      client.once('error', () => resolve())
    }).then(() => {
      client.end().catch(() => {})
    })
    client.on('notification', ({ payload = '' }) => this.#handleNotification(client, payload))
    try {
      await client.connect()
      await configureConnection(client, schema)
      // Before parked polls read again: they must find the gap.
      await this.#checkRestore(client)
      // Nothing written on this connection must survive a crash.
      await client.query(`SET synchronous_commit = off; LISTEN ${channel}`)
    } catch (error) {
      client.end().catch(() => {})
      throw error
    }
    this.#client = client
    return { broken }
  }

  #handleNotification(client: pg.Client, payload: string) {
    const [what, first = '', second = '', third = ''] = payload.split(' ', 4)
    const own = first === this.#nodeId
    if (what === 'ended') this.#handlers?.onEnded({ id: first, username: second }, third === 'disabled')
    // A node needs no notification of its own commits.
    else if (what === 'new' && !own) this.#handleNewEntries(payload.split(' ').slice(2))
    else if (what === 'probe' && own) this.#handlers?.onProbe()
    else if (what === 'passed' && own) this.#barrier.passed(Number(second), third)
    else if (what === 'barrier' && !own) {
      const passed = `passed ${first} ${second} ${this.#nodeId}`
      // Without a reply the other node waits for a second.
      client.query('SELECT pg_notify($1, $2)', [this.#place.channel, passed]).catch(() => {})
    }
  }

  #handleNewEntries(pairs: string[]) {
    for (let at = 0; at + 1 < pairs.length; at += 2)
      this.#handlers?.onAppendedElsewhere(pairs[at] as string, Number(pairs[at + 1]))
  }
}
