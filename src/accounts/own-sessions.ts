import type { Clock } from '../clock.ts'
import type { Database, ListedSession } from '../database/database.ts'
import { Problem } from '../problems.ts'
import type { Session, Sessions } from './sessions.ts'

interface LastSeenDates {
  /** When a session was last online, if this process knows; 0 otherwise. */
  lastSeenAtMs: (username: string, sessionId: string) => number
}

/** The sessions of an account, as their owner sees and ends them. */
export class OwnSessions {
  readonly #database: Pick<Database, 'listSessions'>
  readonly #sessions: Pick<Sessions, 'end'>
  readonly #lastSeen: LastSeenDates
  readonly #clock: Clock

  constructor(
    database: Pick<Database, 'listSessions'>,
    sessions: Pick<Sessions, 'end'>,
    lastSeen: LastSeenDates,
    clock: Clock,
  ) {
    this.#database = database
    this.#sessions = sessions
    this.#lastSeen = lastSeen
    this.#clock = clock
  }

  /** The newest first. */
  async list({ accountId, username }: Session): Promise<ListedSession[]> {
    const read = () => this.#database.listSessions(accountId, this.#clock())
    const inMemory = (id: string) => this.#lastSeen.lastSeenAtMs(username, id)
    const before = new Map((await read()).map(({ id }) => [id, inMemory(id)]))
    // Read once more: a date may have moved from memory to the store meanwhile.
    const listed = await read()
    const nowMs = this.#clock()
    return listed.map((session) => {
      const { id, isElsewhere, lastSeenAtMs = 0 } = session
      const knownMs = Math.max(lastSeenAtMs, before.get(id) ?? 0, inMemory(id))
      // Never in the future, even if the clock was ahead then.
      return { ...session, lastSeenAtMs: (isElsewhere ? nowMs : Math.min(knownMs, nowMs)) || undefined }
    })
  }

  /**
   * Ends a session of this account everywhere, and answers its polls. It acknowledges nothing.
   *
   * @throws Problem not_found
   */
  async end({ accountId, username }: Session, id: string): Promise<void> {
    const listed = await this.#database.listSessions(accountId, this.#clock())
    if (!listed.some((session) => session.id === id))
      throw new Problem('not_found', 'This account has no such session.')
    await this.#sessions.end({ id, username })
  }
}
