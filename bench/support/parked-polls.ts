import { Connection, expectStatus } from './connection.ts'
import type { Person } from './people.ts'
import type { Service } from './processes.ts'
import { pollText, sendText } from './requests.ts'

/** Connections that are being opened at once: more would overflow the queue of a listening socket. */
const OPENING_MAX = 100

/**
 * Connections from one source address; one address has about 28 000 ports, and other runs use some of them.
 */
const CONNECTIONS_PER_ADDRESS = 5_000

/** Few, because the memory that they leave behind is used again by those that are measured. */
const WARM_UP_POLLS = 50

/** A message that has not come by then was lost. */
const ARRIVAL_MS_MAX = 30_000

interface ParkedPoll {
  person: Person
  connection: Connection
  cursor: number
  /** Called with the time at which a message was there. */
  onMessage: ((at: number) => void) | undefined
}

/** Many polls that wait, each on a connection of its own; one that comes back is sent again at once. */
export class ParkedPolls {
  readonly #url: string
  readonly #polls: ParkedPoll[] = []

  constructor(url: string) {
    this.#url = url
  }

  get count(): number {
    return this.#polls.length
  }

  /** Sends the polls of these people. When they are parked only the server knows: see Service.settled. */
  async add(people: Person[]): Promise<void> {
    const waiting = people.values()
    const openers = Array.from({ length: OPENING_MAX }, async () => {
      for (const person of waiting) {
        const localAddress = `127.0.0.${2 + Math.floor(this.#polls.length / CONNECTIONS_PER_ADDRESS)}`
        const connection = await Connection.open(this.#url, localAddress)
        const poll: ParkedPoll = { person, connection, cursor: 0, onMessage: undefined }
        this.#polls.push(poll)
        void keepPolling(poll)
      }
    })
    await Promise.all(openers)
  }

  /**
   * Sends messages to random ones among those who wait, one after the other.
   *
   * @returns how long each took until the poll was answered, in ms
   */
  async wake(sender: Person, messages: number): Promise<number[]> {
    const out = await Connection.open(this.#url)
    const latencies: number[] = []
    for (let message = 0; message < messages; message += 1) {
      const poll = this.#polls[Math.floor(Math.random() * this.#polls.length)]
      if (!poll) throw new Error('Nobody waits.')
      const arrived = nextMessage(poll)
      const sentAt = performance.now()
      const sent = out.request(sendText(sender, poll.person.username))
      latencies.push((await arrived) - sentAt)
      expectStatus(await sent, 201)
    }
    out.close()
    return latencies
  }

  close(): void {
    for (const { connection } of this.#polls) connection.close()
  }
}

/**
 * The memory of a server that has been used and is idle: what is loaded or compiled for the first polls
 * belongs to the server, and not to those that are parked later.
 *
 * @param use what else will be done with those that are parked later
 */
export async function idleAfterUse(
  service: Service,
  who: (index: number) => Person,
  use: (polls: ParkedPolls) => Promise<unknown> = async () => {},
): Promise<number> {
  const polls = new ParkedPolls(service.url)
  await polls.add(Array.from({ length: WARM_UP_POLLS }, (_, index) => who(index)))
  await service.settled()
  await use(polls)
  polls.close()
  return service.heldBytes()
}

/** Resolves with the time at which a message was there. */
function nextMessage(poll: ParkedPoll): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`A message to ${poll.person.username} did not arrive.`))
    const timer = setTimeout(fail, ARRIVAL_MS_MAX)
    poll.onMessage = (at) => {
      clearTimeout(timer)
      resolve(at)
    }
  })
}

async function keepPolling(poll: ParkedPoll) {
  for (;;) {
    const answer = await poll.connection.request(pollText(poll.person, poll.cursor))
    const at = performance.now()
    expectStatus(answer, 200)
    const { messages, cursor } = JSON.parse(answer.body.toString()) as { messages: unknown[]; cursor: number }
    poll.cursor = cursor
    if (messages.length > 0) poll.onMessage?.(at)
  }
}
