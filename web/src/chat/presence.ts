import { type Signal, signal } from '@preact/signals'
import { RestanteProblem, type Session } from 'restante-client'
import type { BrowserTab } from './browser-tab.ts'

const ASK_EVERY_MS = 30_000

interface PresenceParts {
  username: string
  session: () => Session
  browserTab: BrowserTab
  onName: (displayName: string) => void
}

/** Polls the presence of a user while their conversation is visible. */
export class Presence {
  readonly presence: Signal<{ online: boolean; lastSeenAtMs?: number } | undefined> = signal()
  readonly gone = signal(false)
  readonly #parts: PresenceParts
  readonly #timer: ReturnType<typeof setInterval>
  readonly #stopListening: () => void
  #asking = false
  #stopped = false

  constructor(parts: PresenceParts) {
    this.#parts = parts
    const ask = () => void this.#ask()
    this.#timer = setInterval(ask, ASK_EVERY_MS)
    this.#stopListening = parts.browserTab.on('shown', ask)
    ask()
  }

  stop() {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#stopListening()
  }

  async #ask() {
    const { username, session, browserTab, onName } = this.#parts
    if (this.#asking || browserTab.hidden()) return
    this.#asking = true
    try {
      const { online, lastSeenAt, displayName } = await session().getUser(username)
      if (this.#stopped) return
      const seen = lastSeenAt === undefined ? {} : { lastSeenAtMs: Date.parse(lastSeenAt) }
      this.presence.value = online === undefined ? undefined : { online, ...seen }
      this.gone.value = false
      onName(displayName)
    } catch (error) {
      if (!(error instanceof RestanteProblem)) throw error
      if (this.#stopped) return
      // The known presence is soon outdated.
      this.presence.value = undefined
      this.gone.value = error.code === 'user_not_found'
    } finally {
      this.#asking = false
    }
  }
}
