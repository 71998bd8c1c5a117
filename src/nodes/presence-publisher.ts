import type { SharedDatabase } from '../database/shared-database.ts'
import type { Presence } from '../presence.ts'

/** How long changes are collected for one statement, and so how late other nodes learn of them. */
const PUBLISH_MS = 100

/** The pause before a retry. */
const RETRY_MS = 1_000

/**
 * Publishes to the other nodes which sessions are online at this one. Writes once when a session begins to
 * poll, and once when it no longer is online, however often it polls in between.
 */
export class PresencePublisher {
  readonly #database: Pick<SharedDatabase, 'addPresence' | 'removePresence'>
  readonly #presence: Presence
  /** The sessions that are online here. */
  readonly #online = new Set<string>()
  /** Changes not yet written, by session: whether it is online here. */
  #unpublished = new Map<string, boolean>()
  #timer: NodeJS.Timeout | undefined
  #publishing = Promise.resolve()
  #stopped = false

  constructor(database: Pick<SharedDatabase, 'addPresence' | 'removePresence'>, presence: Presence) {
    this.#database = database
    this.#presence = presence
    presence.on('online', (sessionId) => {
      this.#online.add(sessionId)
      this.#note(sessionId, true)
    })
    presence.on('offline', (sessionId) => {
      this.#online.delete(sessionId)
      this.#note(sessionId, false)
    })
  }

  /** Publishes everything again: this node may have counted as dead. */
  publishAll(): void {
    for (const id of this.#online) this.#note(id, true)
  }

  /** Publishes that no session is online here, because the node stops. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#publishing
    await this.#database.removePresence([...this.#online, ...this.#unpublished.keys()]).catch(() => {
      // Then they expire with this node's last heartbeat.
    })
  }

  #note(id: string, online: boolean) {
    this.#unpublished.set(id, online)
    this.#publishIn(PUBLISH_MS)
  }

  #publishIn(ms: number) {
    if (this.#stopped) return
    this.#timer ??= setTimeout(() => {
      this.#publishing = this.#publish()
    }, ms).unref()
  }

  /** One at a time, so that the latest change wins. */
  async #publish() {
    // Sessions that are no longer online are not published.
    this.#presence.sweep()
    const unpublished = this.#unpublished
    this.#unpublished = new Map()
    const those = (online: boolean) => [...unpublished].flatMap(([id, is]) => (is === online ? [id] : []))
    try {
      await this.#database.removePresence(those(false))
      await this.#database.addPresence(those(true))
      this.#timer = undefined
      if (this.#unpublished.size > 0) this.#publishIn(PUBLISH_MS)
    } catch {
      this.#unpublished = new Map([...unpublished, ...this.#unpublished])
      this.#timer = undefined
      this.#publishIn(RETRY_MS)
    }
  }
}
