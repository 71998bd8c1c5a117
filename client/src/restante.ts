import { Api } from './api.ts'
import type { Input, Output, Page } from './operations.ts'
import { Session } from './session.ts'
import type { Store, StoredSession } from './store.ts'

export interface RestanteOptions {
  /** Keeps the session between two runs of the program, for `resume`. */
  store?: Store | undefined
  /** Used instead of the global one. */
  fetch?: typeof fetch | undefined
}

/** A Restante server. */
export class Restante {
  readonly #api: Api
  readonly #store: Store | undefined

  /** @param url of the server, with its path if it has one: `https://chat.example` */
  constructor(url: string | URL, { store, fetch }: RestanteOptions = {}) {
    this.#api = new Api(url, fetch)
    this.#store = store
  }

  /**
   * Creates an account. Log in next.
   *
   * @throws RestanteProblem, such as `username_taken`
   */
  async register(registration: Input<'register'>): Promise<Output<'register'>> {
    return (await this.#api.call('register', registration)).value
  }

  /**
   * Starts a session. Its inbox begins with the messages that arrived while the user was offline.
   *
   * @throws RestanteProblem, such as `invalid_credentials`, or `already_online`: ask, then use `takeover`
   */
  async login(credentials: Input<'login'>): Promise<Session> {
    const { value } = await this.#api.call('login', credentials)
    const { token, expiresAt, username, displayName, offlineMessages, cursor, hasMore, gap } = value
    const page: Page = { messages: offlineMessages, cursor, hasMore, ...(gap && { gap }) }
    const [first] = offlineMessages
    const state: StoredSession = {
      username,
      displayName,
      token,
      expiresAt,
      renewAtMs: this.#api.renewalMs(expiresAt),
      cursor: gap ? gap.from - 1 : first ? first.seq - 1 : cursor,
      ...((first || gap) && { page }),
    }
    // Save before the first read, which acknowledges these messages.
    await this.#store?.save(state)
    return new Session(this.#api, this.#store, state)
  }

  /** Resumes the session in the store, without a request. Resolves with undefined if there is none. */
  async resume(): Promise<Session | undefined> {
    const stored = await this.#store?.load()
    return stored ? new Session(this.#api, this.#store, stored) : undefined
  }
}
