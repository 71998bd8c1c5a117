import type { Acknowledgement, Batch, LastSeen } from '../database/database.ts'

/** Writes that no response waits for. */
export type Deferred = Pick<Batch, 'acknowledgements' | 'lastSeen'>

export const NOTHING_DEFERRED: Deferred = { acknowledgements: [], lastSeen: [] }

/** Writes that may wait for a later commit: of each session and account the latest. */
export class DeferredWrites {
  #acknowledgements = new Map<string, Acknowledgement>()
  #lastSeen = new Map<string, LastSeen>()
  /** What commits under way have drained, and its dates by account and session. */
  readonly #taken = new Map<Deferred, Map<string, LastSeen>>()

  get size(): number {
    return this.#acknowledgements.size + this.#lastSeen.size
  }

  /** Keeps the furthest acknowledgement of each session. */
  acknowledge(acknowledgement: Acknowledgement): void {
    const known = this.#acknowledgements.get(acknowledgement.sessionId)
    if (known && known.seq >= acknowledgement.seq) return
    this.#acknowledgements.set(acknowledgement.sessionId, acknowledgement)
  }

  /** Whether a selected acknowledgement is still deferred. */
  hasAcknowledgement(matches: (acknowledgement: Acknowledgement) => boolean): boolean {
    for (const acknowledgement of this.#acknowledgements.values()) if (matches(acknowledgement)) return true
    return false
  }

  /** Keeps the latest date of each account and session. */
  noteLastSeen(seen: LastSeen): void {
    const key = keyOf(seen)
    this.#lastSeen.set(key, latestOf(this.#lastSeen.get(key), seen))
  }

  /** When an account or a session was last online, if that is not yet in the store. */
  lastSeenAtMs(seen: Pick<LastSeen, 'username' | 'sessionId'>): number | undefined {
    const held = [...this.#taken.values(), this.#lastSeen]
    const dates = held.flatMap((lastSeen) => lastSeen.get(keyOf(seen))?.atMs ?? [])
    return dates.length > 0 ? Math.max(...dates) : undefined
  }

  /** Gives everything deferred to a commit, which then calls `written` or `requeue`. */
  drain(): Deferred {
    const deferred = {
      acknowledgements: [...this.#acknowledgements.values()],
      lastSeen: [...this.#lastSeen.values()],
    }
    this.#acknowledgements.clear()
    this.#taken.set(deferred, this.#lastSeen)
    this.#lastSeen = new Map()
    return deferred
  }

  written(deferred: Deferred): void {
    this.#taken.delete(deferred)
  }

  /** Defers the writes of a failed commit again; later values win. */
  requeue(deferred: Deferred): void {
    this.#taken.delete(deferred)
    const { acknowledgements, lastSeen } = deferred
    for (const acknowledgement of acknowledgements) this.acknowledge(acknowledgement)
    for (const seen of lastSeen) {
      const key = keyOf(seen)
      this.#lastSeen.set(key, latestOf(seen, this.#lastSeen.get(key)))
    }
  }
}

/** No name contains a space. */
const keyOf = ({ username, sessionId }: Pick<LastSeen, 'username' | 'sessionId'>) =>
  sessionId === undefined ? username : `${username} ${sessionId}`

/** The later date, unless the clock was ahead when the earlier one was noted. */
function latestOf(before: LastSeen | undefined, since: LastSeen | undefined): LastSeen {
  if (!before || !since) return (before ?? since) as LastSeen
  return before.atMs > since.atMs && before.atMs <= since.nowMs ? before : since
}
