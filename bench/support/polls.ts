import { Connection, withConnection } from './connection.ts'
import type { Person } from './people.ts'
import type { Service } from './processes.ts'
import { pollText, sendText } from './requests.ts'

/** Connections that are being opened at once: more would overflow the queue of a listening socket. */
const OPENING_MAX = 100

/** From one source address. With 20 000 open files, a busy server lets an address have 2 492. */
const CONNECTIONS_PER_ADDRESS = 2_000

/** A recipient: polls, and polls again as soon as it has an answer. */
export class Poller {
  readonly #person: Person
  readonly #sender: Person
  #cursor = 0
  #connection: Connection | undefined
  #onMessage: ((at: number) => void) | undefined

  /** @param sender of all messages */
  constructor(person: Person, sender: Person) {
    this.#person = person
    this.#sender = sender
  }

  /** Sends the first poll. Only the server knows when it is parked. */
  async open(url: string, localAddress: string): Promise<void> {
    this.#connection = await Connection.open(url, localAddress)
    void this.#poll(this.#connection)
  }

  close(): void {
    this.#connection?.close()
  }

  /** Sends it one message. @returns ms from the first byte of the send to the last byte of its poll */
  async receive(out: Connection): Promise<number> {
    const arrived = new Promise<number>((resolve) => {
      this.#onMessage = resolve
    })
    const sentAt = performance.now()
    const sent = out.expect(201, sendText(this.#sender, this.#person.username))
    const latency = (await arrived) - sentAt
    await sent
    return latency
  }

  /** @throws Error, which ends the run, when a message is lost or duplicated */
  async #poll(connection: Connection) {
    for (;;) {
      const awaitedBefore = this.#onMessage
      const body = await connection.expect(200, pollText(this.#person, this.#cursor))
      const at = performance.now()
      const { messages, cursor } = JSON.parse(body.toString()) as { messages: unknown[]; cursor: number }
      const tooMany = this.#onMessage && messages.length > 1
      const tooFew = awaitedBefore && messages.length === 0
      // Messages from before the first poll may be acknowledged.
      const jumped = this.#cursor > 0 && cursor !== this.#cursor + messages.length
      if (tooMany || tooFew || jumped)
        throw new Error(`Expected one message after ${this.#cursor}, got ${body}`)
      this.#cursor = cursor
      if (messages.length === 0) continue
      this.#onMessage?.(at)
      this.#onMessage = undefined
    }
  }
}

let opened = 0

/** The next of 250 addresses of 127.0.0.0/8, after so many connections. */
function nextAddress(): string {
  opened += 1
  return `127.0.0.${2 + (Math.floor(opened / CONNECTIONS_PER_ADDRESS) % 250)}`
}

async function open(pollers: Poller[], url: string) {
  const left = pollers.values()
  const openers = Array.from({ length: OPENING_MAX }, async () => {
    for (const poller of left) await poller.open(url, nextAddress())
  })
  await Promise.all(openers)
}

export function close(connections: { close: () => void }[]): void {
  for (const connection of connections) connection.close()
}

/** @returns pollers of these people that are parked */
export async function park(service: Service, people: Person[], sender: Person): Promise<Poller[]> {
  const pollers = people.map((person) => new Poller(person, sender))
  await open(pollers, service.url)
  await service.untilIdle()
  return pollers
}

/** Sends this many messages to random pollers, one after the other. @returns latencies in ms */
export const wake = ({ url }: Service, pollers: Poller[], messages: number): Promise<number[]> =>
  withConnection(url, async (out) => {
    const latencies: number[] = []
    while (latencies.length < messages)
      latencies.push(await (pollers[Math.floor(Math.random() * pollers.length)] as Poller).receive(out))
    return latencies
  })

/** @param people a sender, its receiver, the next sender … */
export const pairsOf = (people: Person[]): Poller[] =>
  people.flatMap((sender, index) => {
    const receiver = people[index + 1]
    return index % 2 === 0 && receiver ? [new Poller(receiver, sender)] : []
  })

export interface Exchanged {
  perSecond: number
  /** One per message, in ms. */
  latencies: number[]
}

/** Each pair has one message in flight. At the end, every accepted message has been received. */
export async function exchange(pairs: Poller[], seconds: number, sendTo: string, pollAt = sendTo) {
  const latencies: number[] = []
  const outs = await Promise.all(pairs.map(() => Connection.open(sendTo)))
  await open(pairs, pollAt)
  const startedAt = performance.now()
  const exchanges = pairs.map(async (pair, index) => {
    while (performance.now() < startedAt + 1_000 * seconds)
      latencies.push(await pair.receive(outs[index] as Connection))
  })
  await Promise.all(exchanges)
  const perSecond = (1_000 * latencies.length) / (performance.now() - startedAt)
  close([...outs, ...pairs])
  return { perSecond, latencies }
}
