import { newKey, RestanteProblem, type Store, type StoredSession } from 'restante-client'
import type { LocalStorage } from './local-storage.ts'

type EndedSession = { username: string; reason: RestanteProblem }

interface StoredLogin {
  /** The ID of this login in this browser, by which tabs notice another login. */
  login: string
  /** Without the page, which is large and written only once. */
  state: Omit<StoredSession, 'page'>
}

/** Stored synchronously, which works while the page is being left, unlike a database. */
export interface StoredText {
  get: () => string | undefined
  set: (text: string) => void
  delete: () => void
}

/** Stores the session that the tabs of this browser share, and why the last one ended. */
export class SessionStore {
  readonly #keys: LocalStorage

  constructor(keys: LocalStorage) {
    this.#keys = keys
  }

  get current(): StoredLogin | undefined {
    return this.#read('session')
  }

  get endedSession(): EndedSession | undefined {
    const endedSession = this.#read<{
      username: string
      reason: ConstructorParameters<typeof RestanteProblem>[0]
    }>('endedSession')
    return (
      endedSession && { username: endedSession.username, reason: new RestanteProblem(endedSession.reason) }
    )
  }

  /** The usernames of accounts with a database here. */
  get accounts(): string[] {
    return this.#keys.startingWith(ACCOUNT).sort()
  }

  /** Forgets an account whose database is deleted. */
  forget(username: string) {
    this.#keys.delete(ACCOUNT + username)
    this.#keys.delete(NOTIFY + username)
    const drafts = `${DRAFT}${username} `
    for (const name of this.#keys.startingWith(drafts)) this.#keys.delete(drafts + name)
  }

  /** Stores a draft that is not in the database yet. */
  unsavedDraft(account: string, username: string): StoredText {
    return this.#text(`${DRAFT}${account} ${username}`)
  }

  /** Whether an account wants notifications in this browser. */
  notificationChoice(account: string): StoredText {
    return this.#text(NOTIFY + account)
  }

  #text(name: string): StoredText {
    return {
      get: () => this.#keys.get(name),
      set: (text) => this.#keys.set(name, text),
      delete: () => this.#keys.delete(name),
    }
  }

  /** The store for a login: a save replaces the earlier session. */
  beginning(): Store {
    return {
      load: () => undefined,
      save: (state) => {
        if (!state) return
        const { page, ...rest } = state
        const login = newKey()
        this.#keys.delete('endedSession')
        this.#keys.set(ACCOUNT + state.username, '')
        if (page) this.#keys.set('page', JSON.stringify({ login, page }))
        this.#keys.set('session', JSON.stringify({ login, state: rest } satisfies StoredLogin))
      },
    }
  }

  /**
   * The store of one Session in one tab, while other tabs have theirs. Writes only changed members, so a tab
   * never overwrites a newer token or cursor.
   *
   * @param onEnd called when the session has ended
   * @param onStale called when only its token is invalid, because another tab has renewed it
   */
  of(login: string, { onEnd, onStale }: { onEnd: () => void; onStale: () => void }): Store {
    let base: StoredSession | undefined
    return {
      load: () => {
        const kept = this.#storedFor(login)
        if (!kept) return undefined
        const page = this.#read<{ login: string; page: StoredSession['page'] }>('page')
        base = { ...kept.state, ...(page?.login === login && page.page && { page: page.page }) }
        return base
      },
      save: (state) => {
        const kept = this.#storedFor(login)
        if (!kept || !base) return
        if (!state) return kept.state.token === base.token ? onEnd() : onStale()
        const { page, ...rest } = state
        if (base.page && !page) this.#keys.delete('page')
        const before: Record<string, unknown> = { ...base }
        const changed = Object.entries(rest).filter(([name, value]) => value !== before[name])
        const merged = { ...kept.state, ...Object.fromEntries(changed) }
        base = { ...state }
        this.#keys.set('session', JSON.stringify({ login, state: merged } satisfies StoredLogin))
      },
    }
  }

  /** Ends the session in all tabs. */
  end(endedSession?: EndedSession) {
    if (endedSession) {
      const { username, reason } = endedSession
      const { code, status, detail } = reason
      this.#keys.set('endedSession', JSON.stringify({ username, reason: { code, status, detail } }))
    } else this.#keys.delete('endedSession')
    this.#keys.delete('page')
    // Last, because other tabs react to it.
    this.#keys.delete('session')
  }

  #storedFor(login: string): StoredLogin | undefined {
    const kept = this.current
    return kept?.login === login ? kept : undefined
  }

  /** Treats damaged data as missing, so the user logs in again. */
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
