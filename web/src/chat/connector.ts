import { type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { Restante, type RestanteProblem, type Session } from 'restante-client'
import type { BrowserTab } from './browser-tab.ts'
import { Channel, fromNote, type Note, toNote } from './channel.ts'
import { DisplayNames } from './display-names.ts'
import { Leader } from './leader.ts'
import { Outbox } from './outbox.ts'
import { Receiver } from './receiver.ts'
import type { SessionStore } from './session-store.ts'
import { ignoreClosed, type Storage } from './storage.ts'
import type { Connection } from './types.ts'

export interface ConnectorParts {
  /** The ID of the login whose session is in the store. */
  login: string
  channelName: string
  sessions: SessionStore
  storage: Storage
  browserTab: BrowserTab
  /** Called when any tab has changed conversations in the storage. Undefined means all. */
  onChanged: (conversations?: Iterable<string>) => void
  /** Called when this tab leads and the server responds. */
  onLive: () => void
  /** Called when the session has ended. */
  onEnd: (reason: RestanteProblem) => void
}

/**
 * Connects a tab to the server: directly for requests, and through the leading tab for receiving and sending.
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
  /** Set while this tab leads. */
  #polling: AbortController | undefined
  #outbox: Outbox | undefined
  readonly #ended = new Set<Promise<unknown>>()

  /** Resolves with undefined if the session has ended meanwhile. */
  static async open(parts: ConnectorParts): Promise<Connector | undefined> {
    const connector: { value?: Connector } = {}
    const session = await resume(parts, () => connector.value?.refreshSession())
    if (!session) return undefined
    connector.value = new Connector(parts, session)
    return connector.value
  }

  private constructor(parts: ConnectorParts, session: Session) {
    const { browserTab } = parts
    this.#parts = parts
    this.#session = session
    this.#token = parts.sessions.current?.state.token ?? ''
    this.#channel = new Channel(parts.channelName, (note) => this.#onNote(note))
    this.#leader = new Leader({
      browserTab,
      post: (note) => this.#channel.post(note),
      connection: () => toNote(this.#connection.value),
      onLead: () => this.#startPolling(),
      onFollow: () => this.#stopPolling(),
      onConnection: (note) => {
        this.#connection.value = fromNote(note)
      },
    })
    this.#stopListening = [
      browserTab.on('hidden', () => this.#leader.visibilityChanged()),
      browserTab.on('shown', () => this.#shown()),
      browserTab.on('left', () => this.#leave()),
      browserTab.on('returned', () => this.#join()),
    ]
    this.#join()
  }

  get session(): Session {
    return this.#session
  }

  get connection(): ReadonlySignal<Connection> {
    return this.#connection
  }

  /** Notifies all tabs of changed conversations. */
  changed(conversations: string[]) {
    this.#parts.onChanged(conversations)
    this.#channel.post({ type: 'changed', conversations })
  }

  /** Has the leading tab send a queued row. */
  queued() {
    const { storage } = this.#parts
    // Other tabs cannot send what is only in the memory of this tab.
    if (!this.#outbox && storage.inMemory) this.#outbox = this.#newOutbox(this.#session, this.#closing.signal)
    if (this.#outbox) this.#checkOutbox()
    else this.#channel.post({ type: 'queued' })
  }

  tryNow() {
    this.#session.wake()
    this.#channel.post({ type: 'try-now' })
  }

  /**
   * Reloads the session that another tab may have changed. A polling session continues: its token stays valid
   * until it expires.
   */
  async refreshSession() {
    const { sessions, login } = this.#parts
    const kept = sessions.current
    if (this.#polling || kept?.login !== login || kept.state.token === this.#token) return
    this.#token = kept.state.token
    const session = await resume(this.#parts, () => void this.refreshSession())
    if (session && !this.#polling) this.#session = session
  }

  /** Resolves when everything has stopped. */
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
    // Poll again without `away`, so the account is shown online.
    this.#session.wake()
    // A frozen tab may have missed notes of other tabs.
    this.#parts.onChanged()
  }

  #onNote(note: Note) {
    if (note.type === 'changed') this.#parts.onChanged(note.conversations)
    else if (note.type === 'queued') this.#checkOutbox()
    else if (note.type === 'try-now') this.#session.wake()
    else this.#leader.onNote(note)
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
    const { storage, browserTab } = this.#parts
    const names = new DisplayNames({
      storage,
      session: () => this.#session,
      signal,
      onChanged: (usernames) => this.changed(usernames),
    })
    const receiver = new Receiver({
      storage,
      away: browserTab.hidden,
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
      // Continue with the token and cursor that another tab has stored.
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

/** Resumes the stored session of the browser in this tab. */
async function resume(
  { sessions, login, browserTab, onEnd }: ConnectorParts,
  onStale: () => void,
  receiver?: Receiver,
): Promise<Session | undefined> {
  const own: { session?: Session | undefined } = {}
  const store = sessions.of(login, {
    onEnd: () => own.session?.ended && onEnd(own.session.ended),
    onStale,
  })
  const options = receiver ? { store: receiver.afterMessages(store), fetch: receiver.fetch } : { store }
  own.session = await new Restante(browserTab.url, options).resume()
  return own.session
}
