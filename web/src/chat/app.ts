import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { Restante, RestanteProblem } from 'restante-client'
import { closeNotifications, unsubscribeBrowser } from './browser-push.ts'
import { LoggedIn } from './chat.ts'
import { deleteDatabase } from './indexed-db.ts'
import { Keys } from './keys.ts'
import { SessionStore } from './session-store.ts'
import { ignoreClosed, Storage } from './storage.ts'
import { browserSurroundings, type Surroundings } from './surroundings.ts'
import type { App, Chat } from './types.ts'

/** What the list of sessions shows of this one. */
const LABEL = 'Web page'

/** The chat of this tab. It starts at once. */
export function createApp(): App {
  return new Application(browserSurroundings())
}

class Application implements App {
  readonly #surroundings: Surroundings
  readonly #sessions: SessionStore
  readonly #state: Signal<'starting' | 'logged-out' | 'logged-in'> = signal('starting')
  readonly #chat: Signal<LoggedIn | undefined> = signal()
  readonly #farewell: Signal<{ username: string; reason: RestanteProblem } | undefined> = signal()
  readonly #kept: Signal<string[]> = signal([])
  /** The login that the chat is of. */
  #login: string | undefined
  #following: Promise<void> = Promise.resolve()
  /** The login that is being ended here. */
  #leaving: string | undefined

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
    // Several servers may be on one origin, below different paths.
    this.#sessions = new SessionStore(new Keys(this.#nameOf('')))
    const follow = () => void this.#follow()
    for (const event of ['stored', 'shown', 'returned'] as const) surroundings.on(event, follow)
    follow()
  }

  get state() {
    return this.#state
  }

  get chat(): ReadonlySignal<Chat | undefined> {
    return this.#chat
  }

  get farewell() {
    return this.#farewell
  }

  get kept() {
    return this.#kept
  }

  async register(account: { username: string; password: string; displayName?: string; invite?: string }) {
    const { username, password } = account
    await new Restante(this.#surroundings.url).register(account)
    await this.login({ username, password })
  }

  async login(credentials: { username: string; password: string; takeover?: boolean }) {
    const store = this.#sessions.beginning()
    await new Restante(this.#surroundings.url, { store }).login({ ...credentials, label: LABEL })
    await this.#follow()
  }

  async forget(username: string) {
    if (this.#sessions.current?.state.username === username) return
    await this.#delete(username)
    await this.#follow()
  }

  #nameOf(rest: string) {
    return `restante ${this.#surroundings.folder} ${rest}`
  }

  /** Does what the session in the store asks for: a login and a logout in one tab are those of all. */
  #follow(): Promise<void> {
    this.#following = this.#following
      .catch(() => {})
      .then(async () => {
        const { current } = this.#sessions
        if (current && current.login === this.#login) this.#chat.value?.sessionChanged()
        else {
          await this.#closeChat()
          if (current) await this.#openChat(current.login, current.state.username)
        }
        this.#show()
      })
    return this.#following
  }

  async #openChat(login: string, username: string) {
    const storage = new Storage(this.#nameOf(`account ${username}`))
    const chat = await LoggedIn.open({
      login,
      channelName: this.#nameOf(login),
      sessions: this.#sessions,
      storage,
      surroundings: this.#surroundings,
      onEnd: (reason) => this.#end(login, username, reason),
      onLogout: (last) => this.#logout(username, last),
      onDelete: (first) => this.#deleteAccount(username, first),
    }).catch((error) => {
      if (login === this.#sessions.current?.login) throw error
      // Another tab has logged out meanwhile, and deletes what is kept.
      ignoreClosed(error)
      return undefined
    })
    if (!chat) return storage.close()
    this.#login = login
    this.#chat.value = chat
  }

  async #closeChat() {
    const chat = this.#chat.value
    if (!chat) return
    this.#login = undefined
    batch(() => {
      this.#chat.value = undefined
      this.#show()
    })
    await chat.close()
  }

  #show() {
    batch(() => {
      const username = this.#chat.value?.username
      this.#state.value = this.#chat.value ? 'logged-in' : 'logged-out'
      this.#farewell.value = this.#sessions.farewell
      this.#kept.value = this.#sessions.accounts.filter((name) => name !== username)
    })
  }

  /** The server says that the session is over. What is kept stays. */
  #end(login: string, username: string, reason: RestanteProblem) {
    if (login === this.#leaving || login !== this.#sessions.current?.login) return
    this.#sessions.end({ username, reason })
    void this.#follow()
  }

  async #logout(username: string, last: () => Promise<void>) {
    try {
      // First of all, so that no tab takes the end of the session for somebody else's doing.
      this.#sessions.end()
      await this.#follow()
      await this.#delete(username)
      this.#show()
      stopNotifying()
      await last()
    } catch (error) {
      // Without the token, which is gone, the session is of no use, and the next login ends it.
      if (!(error instanceof RestanteProblem)) throw error
    }
  }

  async #deleteAccount(username: string, first: () => Promise<void>) {
    const login = this.#login
    const session = this.#chat.value?.session
    this.#leaving = login
    try {
      await first()
    } catch (error) {
      this.#leaving = undefined
      // Its answer was lost, or another one was faster.
      if (login && session?.ended) this.#end(login, username, session.ended)
      throw error
    }
    this.#sessions.end()
    await this.#follow()
    await this.#delete(username)
    this.#show()
    stopNotifying()
  }

  async #delete(username: string) {
    this.#sessions.forget(username)
    await deleteDatabase(this.#nameOf(`account ${username}`)).catch(() => {
      // There is none where IndexedDB does not work.
    })
  }
}

/** Nothing waits for it: the server ends the subscription with the session. */
function stopNotifying() {
  void unsubscribeBrowser()
  void closeNotifications()
}
