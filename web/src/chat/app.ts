import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { Restante, RestanteProblem } from 'restante-client'
import { closeNotifications, unsubscribeBrowser } from './browser-push.ts'
import { type BrowserTab, thisTab } from './browser-tab.ts'
import { LoggedIn } from './chat.ts'
import { deleteDatabase } from './indexed-db.ts'
import { LocalStorage } from './local-storage.ts'
import { SessionStore } from './session-store.ts'
import { ignoreClosed, Storage } from './storage.ts'
import type { App, Chat } from './types.ts'

/** The label of this session in the list of sessions. */
const LABEL = 'Web page'

/** Makes the app of this tab, and starts it. */
export function createApp(): App {
  return new Application(thisTab())
}

class Application implements App {
  readonly #browserTab: BrowserTab
  readonly #sessions: SessionStore
  readonly #state: Signal<'starting' | 'logged-out' | 'logged-in'> = signal('starting')
  readonly #chat: Signal<LoggedIn | undefined> = signal()
  readonly #endedSession: Signal<{ username: string; reason: RestanteProblem } | undefined> = signal()
  readonly #storedAccounts: Signal<string[]> = signal([])
  /** The ID of the login that the chat belongs to. */
  #login: string | undefined
  #following: Promise<void> = Promise.resolve()
  /** The ID of the login that this tab is ending. */
  #leaving: string | undefined

  constructor(browserTab: BrowserTab) {
    this.#browserTab = browserTab
    // Prefix by path, because several servers may share an origin.
    this.#sessions = new SessionStore(new LocalStorage(this.#nameOf('')))
    const follow = () => void this.#follow()
    for (const event of ['stored', 'shown', 'returned'] as const) browserTab.on(event, follow)
    follow()
  }

  get state() {
    return this.#state
  }

  get chat(): ReadonlySignal<Chat | undefined> {
    return this.#chat
  }

  get endedSession() {
    return this.#endedSession
  }

  get storedAccounts() {
    return this.#storedAccounts
  }

  async register(account: { username: string; password: string; displayName?: string; invite?: string }) {
    const { username, password } = account
    await new Restante(this.#browserTab.url).register(account)
    await this.login({ username, password })
  }

  async login(credentials: { username: string; password: string; takeover?: boolean }) {
    const store = this.#sessions.beginning()
    await new Restante(this.#browserTab.url, { store }).login({ ...credentials, label: LABEL })
    await this.#follow()
  }

  async forget(username: string) {
    if (this.#sessions.current?.state.username === username) return
    await this.#delete(username)
    await this.#follow()
  }

  #nameOf(rest: string) {
    return `restante ${this.#browserTab.folder} ${rest}`
  }

  /** Applies the stored session: a login or logout in one tab is one in all tabs. */
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
      browserTab: this.#browserTab,
      onEnd: (reason) => this.#end(login, username, reason),
      onLogout: (endSession) => this.#logout(username, endSession),
      onDelete: (deleteOnServer) => this.#deleteAccount(username, deleteOnServer),
    }).catch((error) => {
      if (login === this.#sessions.current?.login) throw error
      // Another tab has logged out meanwhile, and is deleting the storage.
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
      this.#endedSession.value = this.#sessions.endedSession
      this.#storedAccounts.value = this.#sessions.accounts.filter((name) => name !== username)
    })
  }

  /** The server has ended the session. The stored messages stay. */
  #end(login: string, username: string, reason: RestanteProblem) {
    if (login === this.#leaving || login !== this.#sessions.current?.login) return
    this.#sessions.end({ username, reason })
    void this.#follow()
  }

  async #logout(username: string, endSession: () => Promise<void>) {
    try {
      // First, so no tab reports the end of the session to the user.
      this.#sessions.end()
      await this.#follow()
      await this.#delete(username)
      this.#show()
      stopNotifying()
      await endSession()
    } catch (error) {
      // The token is deleted, so nobody can use the session. The next login ends it.
      if (!(error instanceof RestanteProblem)) throw error
    }
  }

  async #deleteAccount(username: string, deleteOnServer: () => Promise<void>) {
    const login = this.#login
    const session = this.#chat.value?.session
    this.#leaving = login
    try {
      await deleteOnServer()
    } catch (error) {
      this.#leaving = undefined
      // The session has ended, because the response was lost or another tab was faster.
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
      // Without IndexedDB there is no database.
    })
  }
}

/** Not awaited: the server ends the subscription with the session. */
function stopNotifying() {
  void unsubscribeBrowser()
  void closeNotifications()
}
