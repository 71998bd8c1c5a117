/**
 * kill -9 in the middle of things. The process cannot say goodbye, so whatever it told anybody before must be
 * true afterwards. It is no loss of power: for that the commits are synced, see durability.test.ts.
 *
 * `CRASH_ROUNDS=20` runs more rounds, `CRASH_SEED=…` repeats the ones that failed, as far as the scheduler
 * lets it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Client, Person, range, seqsOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { fileOf, itOnSqlite, newDatabase } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { randomFrom } from './support/random.ts'
import { type Program, type RunningServer, spawnProgram, spawnServer } from './support/servers.ts'

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 3)
const SEED = Number(process.env['CRASH_SEED'] ?? Date.now() % 2 ** 31)

const KILLED_STARTS = ROUNDS + 2

const SENDERS = ['ada', 'bob', 'carol', 'dora']
/** Each sends to all of these, in this many loops side by side. */
const LOOPS_PER_SENDER = 8
const RECIPIENTS = ['erik', 'fay', 'gil', 'hedy']
const BODY_CHARACTERS_MAX = 8_000

/** A message on its way, and what became of it as its sender knows. */
interface Sent {
  from: string
  to: string
  body: string
  key: string | undefined
  /** Undefined while there is no answer, which after the crash means: nobody knows. */
  id?: string
}

/** What a recipient knows of its own cursor. */
interface Reader {
  name: string
  cursor: number
  /** The last cursor whose acknowledgement was answered: nothing behind it may come back. */
  acknowledged: number
  /** The furthest cursor that was ever shown: nothing behind it may count as received. */
  shown: number
}

type People = Map<string, Person>

describe('kill -9', () => {
  it(`in the middle of a load of sends loses nothing that was accepted and stores nothing twice, ${ROUNDS} times`, async (t) => {
    const random = randomFrom(SEED)
    t.diagnostic(`CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}`)
    const database = await newDatabase(t)
    let server = await spawnServer(t, {}, database)
    let people = await joinAll(server)
    const readers = RECIPIENTS.map((name): Reader => ({ name, cursor: 0, acknowledged: 0, shown: 0 }))
    const everything: Sent[] = []

    for (let round = 1; round <= ROUNDS; round++) {
      const load = new Load(round, random, people, readers)
      await load.runUntilKilled(server.process, 20 + Math.floor(random() * 400))
      assert.equal(await server.exited, 'SIGKILL')
      everything.push(...load.sent)

      server = await spawnServer(t, {}, database)
      people = moved(people, server)
      const unanswered = load.sent.filter(({ id }) => id === undefined)
      await checkCursors(people, readers)
      const kept = await checkInboxes(people, readers, everything)
      await checkKeys(people, load.sent, random)
      await checkInboxes(people, readers, everything)
      t.diagnostic(
        `round ${round}: ${load.sent.length - unanswered.length} accepted, ${unanswered.length} without an answer, ` +
          `of which ${unanswered.filter(({ body }) => kept.has(body)).length} were stored`,
      )
      assert.ok(unanswered.length > 0, 'The kill came in the middle of sends.')
    }
    await server.stop()
  })

  // What a start of SQLite leaves half done is a file; PostgreSQL migrates in transactions.
  itOnSqlite('at any moment of the first start is made good by the next', async (t) => {
    const random = randomFrom(SEED)
    const opening = async (program: Program, database: string) => {
      const isThere = () => existsSync(fileOf(database))
      await Promise.race([eventually('the file is there', isThere, 30_000), program.exited])
      return performance.now()
    }
    const undisturbed = await newDatabase(t)
    const program = spawnProgram(t, {}, undisturbed)
    const openedMs = await opening(program, undisturbed)
    await program.listening
    const openingMs = performance.now() - openedMs

    for (let kill = 0; kill < KILLED_STARTS; kill++) {
      const database = await newDatabase(t)
      const first = spawnProgram(t, {}, database)
      await opening(first, database)
      // Spread over the migration and what follows it, which leaves no trace that could be waited for.
      await pause((openingMs * (kill + random())) / KILLED_STARTS)
      first.process.kill('SIGKILL')
      await first.exited

      const server = await spawnServer(t, {}, database)
      const ada = await new Client(server).join('ada')
      assert.equal((await ada.send('ada', 'Is this thing on?')).status, 201)
      await server.stop()
      assert.equal(server.errors(), '')
    }
  })
})

/** Sends and reads side by side until the server is gone. */
class Load {
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

  /** @param killAfter how many messages are accepted before */
  async runUntilKilled({ pid }: ChildProcess, killAfter: number): Promise<void> {
    let accepted = 0
    const onAccepted = () => {
      accepted += 1
      // By another process, which does not wait for this one to be idle: it should meet the server in the
      // middle of it.
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
      // Long enough that the log is written back into the database meanwhile, again and again.
      const body = name.padEnd(this.#random() * BODY_CHARACTERS_MAX, '.')
      const to = RECIPIENTS[Math.floor(this.#random() * RECIPIENTS.length)] ?? ''
      const sent: Sent = { from, to, body, key: this.#random() < 0.5 ? name : undefined }
      this.sent.push(sent)
      const answer = await answerUnlessGone(person(this.#people, from).send(to, body, sent.key))
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

/** What was acknowledged stays so, what was not comes again; and the tokens from before the crash hold. */
async function checkCursors(people: People, readers: Reader[]) {
  for (const reader of readers) {
    const { status, body } = await person(people, reader.name).poll({ wait: 0, limit: 1 })
    assert.equal(status, 200, `The token of ${reader.name} holds.`)
    const acknowledged = body.messages.length > 0 ? body.cursor - 1 : body.cursor
    const told = `${reader.name}: ${reader.acknowledged} <= ${acknowledged} <= ${reader.shown}`
    assert.ok(reader.acknowledged <= acknowledged && acknowledged <= reader.shown, told)
    reader.acknowledged = acknowledged
  }
}

/**
 * Every inbox is numbered without a gap, holds each accepted message once, and nothing that was not sent.
 *
 * @returns the bodies that are there
 */
async function checkInboxes(people: People, readers: Reader[], everything: Sent[]): Promise<Set<string>> {
  const sentByBody = new Map(everything.map((sent) => [sent.body, sent]))
  const found = new Set<string>()
  for (const reader of readers) {
    const { name } = reader
    const messages = await readAll(person(people, name), reader)
    assert.deepEqual(seqsOf(messages), range(1, messages.length), `The numbers of ${name}`)
    for (const { id, from, body } of messages) {
      const sent = sentByBody.get(body)
      assert.ok(sent && sent.to === name && sent.from === from, `${body} was sent to ${name}.`)
      assert.ok(!found.has(body), `${body} is there once.`)
      assert.ok(sent.id === undefined || sent.id === id, `${body} has the id that its sender was told.`)
      found.add(body)
    }
  }
  for (const { id, body } of everything) assert.ok(id === undefined || found.has(body), `${body} is lost.`)
  return found
}

/** Sends again with the same key what has no answer, as a client does, and some of what has one. */
async function checkKeys(people: People, load: Sent[], random: () => number) {
  for (const sent of load) {
    if (sent.key === undefined || (sent.id !== undefined && random() > 0.2)) continue
    const { status, headers, body } = await person(people, sent.from).send(sent.to, sent.body, sent.key)
    assert.equal(status, 201)
    if (sent.id !== undefined) {
      assert.equal(body.id, sent.id, `${sent.body} gets its first answer again.`)
      assert.equal(headers.get('idempotent-replayed'), 'true')
    }
    sent.id = body.id
  }
}

async function joinAll(server: RunningServer): Promise<People> {
  const client = new Client(server)
  const names = [...SENDERS, ...RECIPIENTS]
  const people = await Promise.all(names.map((name) => client.join(name)))
  return new Map(people.map((joined) => [joined.username, joined]))
}

/** The same people with the same tokens, at the address of the server that was started anew. */
function moved(people: People, server: RunningServer): People {
  const client = new Client(server)
  return new Map(
    [...people].map(([name, { token, cursor }]) => [name, new Person(client, name, token, cursor)]),
  )
}

/** Every message from the first on, by pages; each page but the first acknowledges the one before. */
async function readAll(me: Person, reader: Reader) {
  const messages: { seq: number; id: string; from: string; body: string }[] = []
  for (let after = 0, more = true; more; ) {
    reader.shown = Math.max(reader.shown, after)
    const { status, body } = await me.poll({ after, wait: 0, limit: 500 })
    assert.equal(status, 200)
    messages.push(...body.messages)
    after = body.cursor
    more = body.hasMore
  }
  return messages
}

function person(people: People, name: string): Person {
  const found = people.get(name)
  if (!found) throw new Error(`${name} has not joined.`)
  return found
}

/** What was answered, or nothing when the connection broke before the answer was complete. */
async function answerUnlessGone(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer
  } catch (error) {
    // fetch tells a broken connection as a TypeError; everything else is a failure of the test.
    if (error instanceof TypeError) return undefined
    throw error
  }
}
