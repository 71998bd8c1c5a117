import type { Person } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { atTheEnd, type Ending } from '../support/endings.ts'

const EVERY_MS = 100

/** Far more than anybody's patience. */
const WAIT_SECONDS = 20

/** What a client has met that sends and polls as people do. */
export interface Experience {
  /** One for each send and each poll. */
  latenciesMs: number[]
  /** What was refused, broke off or was not in the contract. */
  failures: string[]
}

/**
 * Sends and polls once every 100 ms, also while what it did before is not answered yet, so that a server that
 * stands still for a second is seen ten times.
 */
export class NormalClient {
  readonly #sender: Person
  readonly #reader: Person
  #cursor: number
  #now: Experience = { latenciesMs: [], failures: [] }
  readonly #rounds = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout

  /** Begins at once, and ends before the server does. */
  constructor(t: Ending, sender: Person, reader: Person) {
    this.#sender = sender
    this.#reader = reader
    this.#cursor = reader.cursor
    this.#timer = setInterval(() => this.#begin(), EVERY_MS)
    atTheEnd(t, async () => {
      clearInterval(this.#timer)
      await Promise.all(this.#rounds)
    })
  }

  /** What it has met since the last time; resolves when all of that is answered. */
  async takeExperience(): Promise<Experience> {
    const taken = this.#now
    this.#now = { latenciesMs: [], failures: [] }
    await Promise.all(this.#rounds)
    return taken
  }

  #begin() {
    const round = this.#round(this.#now)
    this.#rounds.add(round)
    void round.then(() => this.#rounds.delete(round))
  }

  async #round(experience: Experience) {
    // What is sent now comes behind it, so the poll has something to read.
    const after = this.#cursor
    await measure(experience, 201, () => this.#sender.send(this.#reader, 'How are you?'))
    const page = await measure(experience, 200, () => this.#reader.poll({ after, wait: WAIT_SECONDS }))
    this.#cursor = Math.max(this.#cursor, page?.body.cursor ?? 0)
  }
}

async function measure(
  { latenciesMs, failures }: Experience,
  status: number,
  request: () => Promise<Answer>,
): Promise<Answer | undefined> {
  const startedMs = performance.now()
  try {
    const answer = await request()
    if (answer.status === status) return answer
    failures.push(`${answer.status} ${JSON.stringify(answer.body)}`)
  } catch (error) {
    failures.push(String(error))
  } finally {
    latenciesMs.push(performance.now() - startedMs)
  }
  return undefined
}

/** The value that so much of the others do not exceed. */
export function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? 0
}
