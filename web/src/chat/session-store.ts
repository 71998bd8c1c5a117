import { newKey, RestanteProblem, type Store, type StoredSession } from 'restante-client'
import type { Keys } from './keys.ts'

type Farewell = { username: string; reason: RestanteProblem }

interface Kept {
  /** The name of this login in this browser, by which tabs notice another one. */
  login: string
  /** Without the page, which is large and is written once. */
  state: Omit<StoredSession, 'page'>
}

/** Kept at once, which a database does not do when the page is being left. */
export interface KeptText {
  get: () => string | undefined
  set: (text: string) => void
  delete: () => void
}

/** The one session of this browser, shared by its tabs, and what is to be known after it. */
export class SessionStore {
  readonly #keys: Keys

  constructor(keys: Keys) {
    this.#keys = keys
  }

  get current(): Kept | undefined {
    return this.#read('session')
  }

  get farewell(): Farewell | undefined {
    const farewell = this.#read<{
      username: string
      reason: ConstructorParameters<typeof RestanteProblem>[0]
    }>('farewell')
    return farewell && { username: farewell.username, reason: new RestanteProblem(farewell.reason) }
  }

  /** Names of accounts that have a database here. */
  get accounts(): string[] {
    return this.#keys.startingWith(ACCOUNT).sort()
  }

  /** The account has a database no longer. */
  forget(username: string) {
    this.#keys.delete(ACCOUNT + username)
    this.#keys.delete(NOTIFY + username)
    const drafts = `${DRAFT}${username} `
    for (const name of this.#keys.startingWith(drafts)) this.#keys.delete(drafts + name)
  }

  /** Keeps a draft of an account while the database does not have it. */
  hastyDraft(account: string, username: string): KeptText {
    return this.#text(`${DRAFT}${account} ${username}`)
  }

  /** Whether an account wants notifications in this browser. */
  notificationChoice(account: string): KeptText {
    return this.#text(NOTIFY + account)
  }

  #text(name: string): KeptText {
    return {
      get: () => this.#keys.get(name),
      set: (text) => this.#keys.set(name, text),
      delete: () => this.#keys.delete(name),
    }
  }

  /** For a login: what is saved takes the place of what was there. */
  beginning(): Store {
    return {
      load: () => undefined,
      save: (state) => {
        if (!state) return
        const { page, ...rest } = state
        const login = newKey()
        this.#keys.delete('farewell')
        this.#keys.set(ACCOUNT + state.username, '')
        if (page) this.#keys.set('page', JSON.stringify({ login, page }))
        this.#keys.set('session', JSON.stringify({ login, state: rest } satisfies Kept))
      },
    }
  }

  /**
   * The store of one Session in one tab, while other tabs have theirs. Only what it has changed is written,
   * so a tab never writes back an older token or cursor of its own.
   *
   * @param onEnd the session is over
   * @param onStale only its token is: another tab has a newer one
   */
  of(login: string, { onEnd, onStale }: { onEnd: () => void; onStale: () => void }): Store {
    let base: StoredSession | undefined
    return {
      load: () => {
        const kept = this.#mine(login)
        if (!kept) return undefined
        const page = this.#read<{ login: string; page: StoredSession['page'] }>('page')
        base = { ...kept.state, ...(page?.login === login && page.page && { page: page.page }) }
        return base
      },
      save: (state) => {
        const kept = this.#mine(login)
        if (!kept || !base) return
        if (!state) return kept.state.token === base.token ? onEnd() : onStale()
        const { page, ...rest } = state
        if (base.page && !page) this.#keys.delete('page')
        const before: Record<string, unknown> = { ...base }
        const changed = Object.entries(rest).filter(([name, value]) => value !== before[name])
        const merged = { ...kept.state, ...Object.fromEntries(changed) }
        base = { ...state }
        this.#keys.set('session', JSON.stringify({ login, state: merged } satisfies Kept))
      },
    }
  }

  /** There is no session any more, in no tab. */
  end(farewell?: Farewell) {
    if (farewell) {
      const { username, reason } = farewell
      const { code, status, detail } = reason
      this.#keys.set('farewell', JSON.stringify({ username, reason: { code, status, detail } }))
    } else this.#keys.delete('farewell')
    this.#keys.delete('page')
    // The last one: it is what other tabs act upon.
    this.#keys.delete('session')
  }

  #mine(login: string): Kept | undefined {
    const kept = this.current
    return kept?.login === login ? kept : undefined
  }

  /** What is damaged is not there: the user logs in again. */
  #read<T>(name: string): T | undefined {
    try {
      return JSON.parse(this.#keys.get(name) ?? 'null') ?? undefined
    } catch {
      return undefined
    }
  }
}

const ACCOUNT = 'account '
const DRAFT = 'draft '
const NOTIFY = 'notify '
