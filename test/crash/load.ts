import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { type Person, range } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { gotNoAnswer } from '../support/http.ts'
import { sendWithReceipt } from '../support/receipts.ts'

export const SENDERS = ['ada', 'bob', 'carol', 'dora']
/** Each sends to all of them, in this many concurrent loops. */
const LOOPS_PER_SENDER = 8
export const RECIPIENTS = ['erik', 'fay', 'gil', 'hedy']
const BODY_CHARACTERS_MAX = 8_000

/** A sent message, and its outcome as its sender knows it. */
export interface Sent {
  from: string
  to: string
  body: string
  key: string | undefined
  receipt: boolean
  /** Undefined while there is no answer; after the crash, the outcome is unknown. */
  id?: string
}

/** The cursors that a recipient knows. */
export interface Reader {
  name: string
  cursor: number
  /** The last cursor whose acknowledgement was answered: nothing up to it may come back. */
  acknowledged: number
  /** The highest cursor ever sent: nothing after it may count as received. */
  shown: number
}

export type People = Map<string, Person>

/** Sends and reads concurrently until the server is gone. */
export class Load {
  readonly sent: Sent[] = []
  readonly #round: number
  readonly #random: () => number
  readonly #people: People
  readonly #readers: Reader[]

  constructor(round: number, random: () => number, people: People, readers: Reader[]) {
    this.#round = round
    this.#random = random
    this.#people = people
    this.#readers = readers
  }

  /** @param killAfter how many messages are accepted before the kill */
  async runUntilKilled({ pid }: ChildProcess, killAfter: number): Promise<void> {
    let accepted = 0
    const onAccepted = () => {
      accepted += 1
      // Killed by another process, which does not wait for this one to be idle, so that it hits the server in
      // the middle of its work.
      const delay = (this.#random() * 0.05).toFixed(3)
      if (accepted === killAfter)
        spawn('sh', ['-c', `sleep ${delay}; kill -KILL ${pid}`], { stdio: 'inherit' })
    }
    const loops = SENDERS.flatMap((name) =>
      range(1, LOOPS_PER_SENDER).map((loop) => this.#send(name, loop, onAccepted)),
    )
    await Promise.all([...loops, ...this.#readers.map((reader) => this.#read(reader))])
  }

  async #send(from: string, loop: number, onAccepted: () => void) {
    for (let i = 1; ; i++) {
      const name = `${this.#round}/${from}/${loop}/${i}`
      // Long enough that the log is written back into the database several times.
      const body = name.padEnd(this.#random() * BODY_CHARACTERS_MAX, '.')
      const to = RECIPIENTS[Math.floor(this.#random() * RECIPIENTS.length)] ?? ''
      const key = this.#random() < 0.5 ? name : undefined
      const sent: Sent = { from, to, body, key, receipt: this.#random() < 0.5 }
      this.sent.push(sent)
      const answer = await answerUnlessGone(sendOne(this.#people, sent))
      if (!answer) return
      assert.equal(answer.status, 201, JSON.stringify(answer.body))
      sent.id = answer.body.id
      onAccepted()
    }
  }

  /** Acknowledges every second page at once, and the others by the next poll. */
  async #read(reader: Reader) {
    const me = person(this.#people, reader.name)
    for (let turn = 0; ; turn++) {
      reader.shown = Math.max(reader.shown, reader.cursor)
      const page = await answerUnlessGone(me.poll({ after: reader.cursor, wait: 5, limit: 5 }))
      if (!page) return
      assert.equal(page.status, 200)
      reader.cursor = page.body.cursor
      if (turn % 2 === 0) continue
      reader.shown = Math.max(reader.shown, reader.cursor)
      const acknowledged = await answerUnlessGone(me.acknowledge(reader.cursor))
      if (!acknowledged) return
      assert.equal(acknowledged.status, 204)
      reader.acknowledged = reader.cursor
    }
  }
}

/** Sends a message; another call repeats it. */
export const sendOne = (people: People, { from, to, body, key, receipt }: Sent) =>
  receipt
    ? sendWithReceipt(person(people, from), person(people, to), body, key)
    : person(people, from).send(to, body, key)

export function person(people: People, name: string): Person {
  const found = people.get(name)
  if (!found) throw new Error(`${name} has not joined.`)
  return found
}

/** The answer, or undefined if the connection broke before it was complete. */
async function answerUnlessGone(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer
  } catch (error) {
    if (gotNoAnswer(error as Error)) return undefined
    throw error
  }
}
