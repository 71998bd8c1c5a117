import type { Person } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { atTheEnd, type Ending } from '../support/endings.ts'

const EVERY_MS = 100

/** Far longer than a user would wait. */
const WAIT_SECONDS = 20

/** The experience of a normal client. */
export interface Experience {
  /** One per send and poll. */
  latenciesMs: number[]
  /** Refusals, broken connections, and answers outside the contract. */
  failures: string[]
}

/**
 * Sends and polls every 100 ms, even if earlier requests are not answered yet, so that a stall of one second
 * counts ten times.
 */
export class NormalClient {
  readonly #sender: Person
  readonly #reader: Person
  #cursor: number
  #now: Experience = { latenciesMs: [], failures: [] }
  readonly #rounds = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout

  /** Starts at once, and ends before the server. */
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

  /** The results since the last call; resolves when all requests are answered. */
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
    // The next message comes after this cursor, so the poll has something to read.
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

/** The value that this share of the values does not exceed. */
export function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? 0
}
