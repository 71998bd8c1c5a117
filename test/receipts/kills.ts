import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Client, type Message, type Person, range } from '../support/client.ts'
import type { Answer } from '../support/contract-check.ts'
import { eventually } from '../support/eventually.ts'
import { gotNoAnswer } from '../support/http.ts'
import { at } from '../support/nodes.ts'
import { assertOneReceiptEach, sendWithReceipt } from '../support/receipts.ts'
import { type ServerProcess, spawnServer } from '../support/servers.ts'

/** The number of concurrent sends. */
const LOOPS = 8

interface Size {
  messages: number
  /** How many messages are read but not acknowledged. */
  unacknowledged: number
  kills: number
}

/**
 * Two people on two nodes of one database: one sends with receipts and the other reads, while the nodes are
 * killed alternately, the reader's first.
 */
export async function receiptsOutliveKills(t: TestContext, database: string, size: Size): Promise<void> {
  const { messages, kills } = size
  const last = messages - size.unacknowledged
  const nodes = new Nodes(t, database)
  const ada = await new Client(await nodes.get(0)).join('ada')
  const bob = await new Client(await nodes.get(1)).join('bob')

  let accepted = 0
  const send = async (number: number) => {
    const body = `message-${number}`
    const answer = await nodes.call(0, ada, (person) => sendWithReceipt(person, bob, body, body))
    assert.equal(answer.status, 201, JSON.stringify(answer.body))
    accepted += 1
    const isTime = accepted < messages && accepted % Math.ceil(messages / (kills + 1)) === 0
    if (isTime) await nodes.kill(1 - (nodes.kills % 2))
  }
  const sending = range(1, LOOPS).map(async (loop) => {
    for (let number = loop; number <= messages; number += LOOPS) await send(number)
  })
  const [read, receipts] = await Promise.all([
    readAndAcknowledge(nodes, bob, last),
    readReceipts(nodes, ada, last),
    ...sending,
  ])

  assert.deepEqual(receipts.sort(), read.map(({ id }) => id).sort())
  // The rest is read, too, without receipts.
  const { body: rest } = await nodes.call(1, bob, (me) => me.poll({ after: last, limit: 500, wait: 0 }))
  assert.equal(rest.messages.length, size.unacknowledged)
  assert.equal(await assertOneReceiptEach(database), last)
  assert.equal(nodes.kills, kills)
}

/** Two processes that are restarted whenever they are killed. */
class Nodes {
  kills = 0
  readonly #t: TestContext
  readonly #database: string
  readonly #nodes: Promise<ServerProcess>[]

  constructor(t: TestContext, database: string) {
    this.#t = t
    this.#database = database
    this.#nodes = [this.#start(), this.#start()]
  }

  get(index: number): Promise<ServerProcess> {
    return this.#nodes[index] ?? assert.fail(`There is no node ${index}.`)
  }

  /** Resolves when the state it left is correct. */
  async kill(index: number) {
    this.kills += 1
    const node = await this.get(index)
    node.process.kill('SIGKILL')
    const back = node.exited.then(() => this.#start())
    this.#nodes[index] = back
    await node.exited
    await assertOneReceiptEach(this.#database)
    await back
  }

  /** Repeats a request until it is answered. */
  async call(index: number, person: Person, ask: (person: Person) => Promise<Answer>): Promise<Answer> {
    let answer: Answer | undefined
    await eventually('an answer', async () => {
      answer = await ask(at(await this.get(index), person)).catch((error: Error) => {
        if (!gotNoAnswer(error)) throw error
        return undefined
      })
      return answer !== undefined && answer.status < 500
    })
    return answer as Answer
  }

  #start() {
    return spawnServer(this.#t, {}, this.#database)
  }
}

/** Polls like a client, up to a number. */
async function readAndAcknowledge(nodes: Nodes, person: Person, upTo: number): Promise<Message[]> {
  const entries: Message[] = []
  for (let after = 0; after < upTo; ) {
    const limit = Math.min(50, upTo - after)
    const { body } = await nodes.call(1, person, (me) => me.poll({ after, limit, wait: 5 }))
    entries.push(...body.messages)
    after = body.cursor
  }
  assert.equal((await nodes.call(1, person, (me) => me.acknowledge(upTo))).status, 204)
  return entries
}

/** Collects the ids in receipts, until there are this many. */
async function readReceipts(nodes: Nodes, person: Person, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let after = 0; ids.length < count; ) {
    const { body } = await nodes.call(0, person, (me) => me.poll({ after, wait: 5 }))
    for (const { receiptFor } of body.messages as Message[]) ids.push(...(receiptFor ?? []))
    after = body.cursor
  }
  return ids
}
