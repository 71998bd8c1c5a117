import { type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { Restante, type RestanteProblem, type Session } from 'restante-client'
import { Channel, fromNote, type Note, toNote } from './channel.ts'
import { Leader } from './leader.ts'
import { Names } from './names.ts'
import { Outbox } from './outbox.ts'
import { Receiver } from './receive.ts'
import type { SessionStore } from './session-store.ts'
import { ignoreClosed, type Storage } from './storage.ts'
import type { Surroundings } from './surroundings.ts'
import type { Connection } from './types.ts'

export interface ConnectorParts {
  /** The name of the login, and of its session in the store. */
  login: string
  channelName: string
  sessions: SessionStore
  storage: Storage
  surroundings: Surroundings
  /** Conversations have changed in the storage, by this tab or another. Without names: any may have. */
  onChanged: (conversations?: Iterable<string>) => void
  /** This tab leads, and the server answers. */
  onLive: () => void
  /** The session is over. */
  onEnd: (reason: RestanteProblem) => void
}

/**
 * The connection of a tab to the server: its own for requests, and that of the leading tab to receive and
 * send.
 */
export class Connector {
  readonly #parts: ConnectorParts
  readonly #channel: Channel
  readonly #leader: Leader
  readonly #connection: Signal<Connection> = signal({ state: 'connecting' })
  readonly #stopListening: (() => void)[]
  readonly #closing = new AbortController()
  #session: Session
  #token: string
  /** While this tab leads. */
  #polling: AbortController | undefined
  #outbox: Outbox | undefined
  readonly #ended = new Set<Promise<unknown>>()

  /** Resolves with nothing when the session has ended meanwhile. */
  static async open(parts: ConnectorParts): Promise<Connector | undefined> {
    const connector: { value?: Connector } = {}
    const session = await resume(parts, () => connector.value?.refreshSession())
    if (!session) return undefined
    connector.value = new Connector(parts, session)
    return connector.value
  }

  private constructor(parts: ConnectorParts, session: Session) {
    const { surroundings } = parts
    this.#parts = parts
    this.#session = session
    this.#token = parts.sessions.current?.state.token ?? ''
    this.#channel = new Channel(parts.channelName, (note) => this.#hear(note))
    this.#leader = new Leader({
      surroundings,
      post: (note) => this.#channel.post(note),
      connection: () => toNote(this.#connection.value),
      onLead: () => this.#startPolling(),
      onFollow: () => this.#stopPolling(),
      onConnection: (note) => {
        this.#connection.value = fromNote(note)
      },
    })
    this.#stopListening = [
      surroundings.on('hidden', () => this.#leader.visibilityChanged()),
      surroundings.on('shown', () => this.#shown()),
      surroundings.on('left', () => this.#leave()),
      surroundings.on('returned', () => this.#join()),
    ]
    this.#join()
  }

  get session(): Session {
    return this.#session
  }

  get connection(): ReadonlySignal<Connection> {
    return this.#connection
  }

  /** Tells all tabs. */
  changed(conversations: string[]) {
    this.#parts.onChanged(conversations)
    this.#channel.post({ type: 'changed', conversations })
  }

  /** A row waits to be sent: the leading tab does it. */
  queued() {
    const { storage } = this.#parts
    // What is in the memory of this tab, no other tab can send.
    if (!this.#outbox && storage.inMemory) this.#outbox = this.#newOutbox(this.#session, this.#closing.signal)
    if (this.#outbox) this.#checkOutbox()
    else this.#channel.post({ type: 'queued' })
  }

  tryNow() {
    this.#session.wake()
    this.#channel.post({ type: 'try-now' })
  }

  /**
   * Another tab may have changed the session. The one that polls goes on: its token is good until it ends.
   */
  async refreshSession() {
    const { sessions, login } = this.#parts
    const kept = sessions.current
    if (this.#polling || kept?.login !== login || kept.state.token === this.#token) return
    this.#token = kept.state.token
    const session = await resume(this.#parts, () => void this.refreshSession())
    if (session && !this.#polling) this.#session = session
  }

  /** Resolves when nothing of it runs any more. */
  async close() {
    for (const stop of this.#stopListening) stop()
    this.#closing.abort()
    this.#leave()
    await Promise.allSettled(this.#ended)
  }

  #join() {
    this.#channel.open()
    this.#leader.start()
    this.#parts.onChanged()
  }

  #leave() {
    this.#leader.stop()
    this.#channel.close()
  }

  #shown() {
    this.#leader.visibilityChanged()
    void this.refreshSession()
    // A poll of a hidden tab does not show the account online.
    this.#session.wake()
    // What other tabs have told this one while it was frozen may be lost.
    this.#parts.onChanged()
  }

  #hear(note: Note) {
    if (note.type === 'changed') this.#parts.onChanged(note.conversations)
    else if (note.type === 'queued') this.#checkOutbox()
    else if (note.type === 'try-now') this.#session.wake()
    else this.#leader.hear(note)
  }

  #startPolling() {
    const polling = new AbortController()
    this.#polling = polling
    const ended = this.#poll(polling.signal).catch(ignoreClosed)
    this.#ended.add(ended)
    void ended.finally(() => this.#ended.delete(ended))
  }

  #stopPolling() {
    this.#polling?.abort()
    this.#polling = undefined
    this.#outbox = undefined
  }

  async #poll(signal: AbortSignal) {
    const { storage, surroundings } = this.#parts
    const names = new Names({
      storage,
      session: () => this.#session,
      signal,
      onChanged: (usernames) => this.changed(usernames),
    })
    const receiver = new Receiver({
      storage,
      away: surroundings.hidden,
      onChanged: (conversations) => {
        this.changed([...conversations])
        names.learn(conversations)
      },
      onConnection: (connection) => {
        if (signal.aborted) return
        this.#connection.value = connection
        this.#leader.announce()
        if (connection.state === 'live') this.#parts.onLive()
      },
    })
    for (let isStale = true; isStale && !signal.aborted; ) {
      isStale = false
      // As another tab has left it: with its token, behind what it has received.
      const onStale = () => {
        isStale = true
      }
      const session = await resume(this.#parts, onStale, receiver)
      if (!session || signal.aborted) return
      this.#session = session
      const outbox = this.#newOutbox(session, signal)
      this.#outbox = outbox
      this.#checkOutbox()
      await receiver.run(session, signal)
      await outbox.ended()
    }
  }

  #newOutbox(session: Session, signal: AbortSignal) {
    const { storage } = this.#parts
    return new Outbox({
      storage,
      session,
      signal,
      onChanged: (names) => this.changed(names),
      onAnswer: () => {
        if (this.#connection.peek().state === 'waiting') this.tryNow()
      },
    })
  }

  #checkOutbox() {
    this.#outbox?.check().catch(ignoreClosed)
  }
}

/** A Session of this tab for the session of the browser. */
async function resume(
  { sessions, login, surroundings, onEnd }: ConnectorParts,
  onStale: () => void,
  receiver?: Receiver,
): Promise<Session | undefined> {
  const own: { session?: Session | undefined } = {}
  const store = sessions.of(login, {
    onEnd: () => own.session?.ended && onEnd(own.session.ended),
    onStale,
  })
  const options = receiver ? { store: receiver.behindMessages(store), fetch: receiver.fetch } : { store }
  own.session = await new Restante(surroundings.url, options).resume()
  return own.session
}
