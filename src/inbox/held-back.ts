import type { Acknowledgement, Batch, Sighting } from '../database/database.ts'

/** What a commit takes along that nobody waits for. */
export type Riders = Pick<Batch, 'acknowledgements' | 'sightings'>

export const NO_RIDERS: Riders = { acknowledgements: [], sightings: [] }

/** What was said and need not be written at once: of each session and each account the last word. */
export class HeldBack {
  #acknowledgements = new Map<string, Acknowledgement>()
  #sightings = new Map<string, Sighting>()
  /** What a commit that is under way took along, and its sightings by account and session. */
  readonly #taken = new Map<Riders, Map<string, Sighting>>()

  get size(): number {
    return this.#acknowledgements.size + this.#sightings.size
  }

  /** Holds the furthest acknowledgement of each session. */
  acknowledge(acknowledgement: Acknowledgement): void {
    const known = this.#acknowledgements.get(acknowledgement.sessionId)
    if (known && known.seq >= acknowledgement.seq) return
    this.#acknowledgements.set(acknowledgement.sessionId, acknowledgement)
  }

  /** Whether no commit took along yet an acknowledgement that is meant. */
  hasAcknowledgement(isMeant: (acknowledgement: Acknowledgement) => boolean): boolean {
    for (const acknowledgement of this.#acknowledgements.values()) if (isMeant(acknowledgement)) return true
    return false
  }

  /** Holds the latest sighting of each account and session. */
  see(sighting: Sighting): void {
    const key = keyOf(sighting)
    this.#sightings.set(key, latestOf(this.#sightings.get(key), sighting))
  }

  /** When an account or a session was last online, where the store does not know it yet. */
  lastSeenAtMs(seen: Pick<Sighting, 'username' | 'sessionId'>): number | undefined {
    const held = [...this.#taken.values(), this.#sightings]
    const dates = held.flatMap((sightings) => sightings.get(keyOf(seen))?.atMs ?? [])
    return dates.length > 0 ? Math.max(...dates) : undefined
  }

  /** Hands over all that is held, to a commit that then calls `written` or `putBack`. */
  take(): Riders {
    const riders = {
      acknowledgements: [...this.#acknowledgements.values()],
      sightings: [...this.#sightings.values()],
    }
    this.#acknowledgements.clear()
    this.#taken.set(riders, this.#sightings)
    this.#sightings = new Map()
    return riders
  }

  written(riders: Riders): void {
    this.#taken.delete(riders)
  }

  /** Holds once more what could not be written, behind what was said since. */
  putBack(riders: Riders): void {
    this.#taken.delete(riders)
    const { acknowledgements, sightings } = riders
    for (const acknowledgement of acknowledgements) this.acknowledge(acknowledgement)
    for (const sighting of sightings) {
      const key = keyOf(sighting)
      this.#sightings.set(key, latestOf(sighting, this.#sightings.get(key)))
    }
  }
}

/** No name has a space in it. */
const keyOf = ({ username, sessionId }: Pick<Sighting, 'username' | 'sessionId'>) =>
  sessionId === undefined ? username : `${username} ${sessionId}`

/** The one with the later date, unless the clock was ahead when the earlier word was said. */
function latestOf(before: Sighting | undefined, since: Sighting | undefined): Sighting {
  if (!before || !since) return (before ?? since) as Sighting
  return before.atMs > since.atMs && before.atMs <= since.nowMs ? before : since
}
