import { type Answer, Connection, expectStatus } from './connection.ts'
import type { Person } from './people.ts'
import { pollText, sendText } from './requests.ts'

/** Somebody who sends, and who gets it. */
export interface Pair {
  sender: Person
  receiver: Person
}

export interface Exchanged {
  messages: number
  perSecond: number
  /** From the first byte of the send to the last of the answered poll, in ms. */
  latencies: number[]
}

/** Pairs of which each has one message on its way at a time. */
export class Exchange {
  readonly #sendTo: string
  readonly #pollAt: string
  readonly #desks: Desk[]

  constructor(sendTo: string, pairs: Pair[], pollAt = sendTo) {
    this.#sendTo = sendTo
    this.#pollAt = pollAt
    this.#desks = pairs.map((pair) => ({ ...pair, cursor: 0 }))
  }

  /**
   * Lets all exchange messages for so long. Every message that was accepted has been received when it is
   * over.
   */
  async run(seconds: number): Promise<Exchanged> {
    const latencies: number[] = []
    const wires = await Promise.all(this.#desks.map((desk) => this.#openWire(desk)))
    const startedAt = performance.now()
    const endsAt = startedAt + seconds * 1_000
    await Promise.all(wires.map((wire) => exchange(wire, endsAt, latencies)))
    const took = (performance.now() - startedAt) / 1_000
    for (const { out, back } of wires) {
      out.close()
      back.close()
    }
    return { messages: latencies.length, perSecond: latencies.length / took, latencies }
  }

  async #openWire(desk: Desk): Promise<Wire> {
    const [out, back] = await Promise.all([Connection.open(this.#sendTo), Connection.open(this.#pollAt)])
    return { desk, out, back, polled: back.request(pollText(desk.receiver, desk.cursor)) }
  }
}

/** How far a pair has come. */
interface Desk extends Pair {
  cursor: number
}

interface Wire {
  desk: Desk
  out: Connection
  back: Connection
  /** The poll that waits; there is always one. */
  polled: Promise<Answer>
}

/** The next message goes out when the sender has its 201, the receiver has the message, and polls again. */
async function exchange(wire: Wire, endsAt: number, latencies: number[]) {
  const { sender, receiver } = wire.desk
  const message = sendText(sender, receiver.username)
  while (performance.now() < endsAt) {
    const sentAt = performance.now()
    const sent = wire.out.request(message)
    latencies.push((await receive(wire)) - sentAt)
    expectStatus(await sent, 201)
  }
}

/** Resolves with the time at which the message was there. */
async function receive(wire: Wire): Promise<number> {
  const { desk, back } = wire
  const answer = await wire.polled
  const at = performance.now()
  expectStatus(answer, 200)
  const { messages, cursor } = JSON.parse(answer.body.toString()) as { messages: unknown[]; cursor: number }
  // None after the whole wait of a poll is as wrong as two: exactly one was sent.
  if (messages.length !== 1 || cursor !== desk.cursor + 1)
    throw new Error(`Expected number ${desk.cursor + 1}, got ${answer.body}`)
  desk.cursor = cursor
  wire.polled = back.request(pollText(desk.receiver, cursor))
  return at
}
