import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ClockHistory } from '../src/clock.ts'
import {
  type AppendOutcome,
  type Batch,
  type CommitResult,
  DatabaseUnavailable,
  type Entry,
  type NewMessage,
  type PageSize,
  type ReadFrom,
  type StoredPage,
} from '../src/database/database.ts'
import type { PushHints } from '../src/inbox/delivery.ts'
import { Inbox, type OtherNodes } from '../src/inbox/inbox.ts'
import { Mailboxes } from '../src/inbox/mailboxes.ts'
import type { PollAnswer, PollRequest, ReadingSession } from '../src/inbox/poll.ts'
import { ReadBudget } from '../src/limits/read-budget.ts'
import { toEncodedList } from '../src/message-list.ts'
import { Presence } from '../src/presence.ts'
import { adaAndBob, type Message, messagesIn, newName, type Person, range, seqsOf } from './support/client.ts'
import { connection, response } from './support/connection.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { shareServer } from './support/servers.ts'

/** The wait of a poll that is not woken; then its test fails. */
const WAIT_MS = 1_000

describe('a poll, while its read of the store is delayed', () => {
  it('gets the message that is committed meanwhile: no wake-up is lost', async (t) => {
    const { inbox, store, ada, poll, send } = openInbox(t)
    const look = store.holdNextPage()
    const answer = poll(ada, { after: 0 })
    await look.begun
    await send('hello')

    // Its page is empty: the message came after the read and before the poll is parked.
    look.release()

    assert.deepEqual(seqsOf((await answer).messages), [1])
    await inbox.flushed()
  })

  it('gets a message that comes before its mark is removed, without a hint', async (t) => {
    const hinted: number[] = []
    const hints: PushHints = {
      added: (_, seq) => {
        // As if the store had a mark.
        if (!store.wasHinted) hinted.push(seq)
      },
      takeBack: async () => {
        await send('before the mark is gone')
        store.wasHinted = false
        await send('after it')
      },
    }
    const { store, ada, poll, send } = openInbox(t, { hints })
    await send('hello')
    hinted.length = 0
    store.wasHinted = true

    const { messages } = await poll(ada, { waitMs: 0, away: true })

    assert.deepEqual([seqsOf(messages), hinted], [[1, 2, 3], [3]])
  })

  it('gets all messages that are committed meanwhile, in order', async (t) => {
    const { store, ada, poll, send } = openInbox(t)
    const look = store.holdNextPage()
    const answer = poll(ada, { after: 0 })
    await look.begun
    for (const number of range(1, 5)) await send(String(number))

    look.release()

    assert.deepEqual([seqsOf((await answer).messages), (await answer).cursor], [range(1, 5), 5])
  })

  it('ends when its session ends meanwhile, whether there is something to read or not', async (t) => {
    const { store, mailboxes, ada, poll, send } = openInbox(t)
    const bob = sessionOf('laptop')
    await send('hello')
    for (const [session, after] of [
      [ada, 1],
      [bob, 0],
    ] as const) {
      const look = store.holdNextPage()
      const answer = poll(session, { after })
      await look.begun

      session.ended = true
      mailboxes.endSession(session, true)
      look.release()

      await assert.rejects(answer, { code: 'session_ended' })
    }
  })

  it('does not make a session online that ends while its acknowledgement is written', async (t) => {
    const { store, presence, ada, poll, send } = openInbox(t, { others: { suspectMissed: () => {} } })
    await send('hello')
    const commit = store.holdNextCommit()
    const refused = assert.rejects(poll(ada, { after: 1, waitMs: 0 }), { code: 'session_ended' })
    await commit.begun

    ada.ended = true
    presence.endSession(ada)
    commit.release()

    await refused
    assert.equal(presence.isOnlineHere('ada'), false)
  })

  it('is not kept when its client disconnects meanwhile', async (t) => {
    const { store, presence, ada, poll } = openInbox(t, { graceMs: 0 })
    const look = store.holdNextPage()
    const client = connection()
    const answer = poll(ada, { after: 0, waitMs: 60_000, connection: client })
    await look.begun

    client.destroy()
    look.release()
    await answer

    assert.equal(presence.isOnlineHere('ada'), false)
  })

  it('is answered when the server begins to stop meanwhile', async (t) => {
    const { store, mailboxes, ada, poll } = openInbox(t)
    const look = store.holdNextPage()
    const answer = poll(ada, { after: 0, waitMs: 60_000 })
    await look.begun

    mailboxes.close()
    look.release()

    const { messages, cursor, closing } = await answer
    assert.deepEqual([messages, cursor, closing], [[], 0, true])
  })

  it('gets an error of the store, and leaves its account offline', async (t) => {
    const { store, presence, ada, poll } = openInbox(t, { graceMs: 0 })
    const look = store.holdNextPage()
    const answer = poll(ada, { after: 0 })
    await look.begun

    look.fail(new DatabaseUnavailable('The disk is gone.'))

    await assert.rejects(answer, DatabaseUnavailable)
    assert.equal(presence.isOnlineHere('ada'), false)
  })
})

describe('a poll, while a commit is delayed', () => {
  it('gets the message after the commit and not before', async (t) => {
    const { store, presence, ada, poll, send } = openInbox(t)
    const commit = store.holdNextCommit()
    const parked = poll(ada, { after: 0, waitMs: 60_000 })
    await eventually('the poll waits', () => presence.isOnlineHere('ada'))
    const sent = send('hello')
    await commit.begun

    // Another poll reads the store meanwhile, where the message is not yet.
    const between = await poll(sessionOf('laptop'), { after: 0, waitMs: 0 })
    assert.deepEqual(between.messages, [])
    assert.equal(await Promise.race([parked, sent, nextTurn()]), undefined)
    commit.release()

    assert.equal((await sent).live, true)
    assert.deepEqual(seqsOf((await parked).messages), [1])
  })

  it('never gets a message that could not be committed, and gets the next in its place', async (t) => {
    const { store, ada, poll, send } = openInbox(t)
    const parked = poll(ada, { after: 0, waitMs: 60_000 })
    const commit = store.holdNextCommit()
    const refused = send('lost')
    await commit.begun

    commit.fail(new DatabaseUnavailable('The disk is full.'))
    await assert.rejects(refused, DatabaseUnavailable)
    await send('kept')

    const { messages } = await parked
    assert.deepEqual(
      messages.map(({ seq, body }) => [seq, body]),
      [[1, 'kept']],
    )
  })

  it('has its acknowledgement written later when the commit that carried it fails', async (t) => {
    const { store, inbox, ada, poll, send } = openInbox(t)
    for (const number of range(1, 3)) await send(String(number))
    await poll(ada, { after: 2, waitMs: 0 })
    const commit = store.holdNextCommit()
    const refused = send('lost')
    await commit.begun
    commit.fail(new DatabaseUnavailable('The disk is full.'))
    await assert.rejects(refused)
    assert.equal(store.acknowledgedSeq, 0)

    await inbox.flushed()

    assert.equal(store.acknowledgedSeq, 2)
  })

  it('is refused its acknowledgement when that cannot be written, and may repeat it', async (t) => {
    const { store, inbox, ada, send } = openInbox(t)
    await send('hello')
    const commit = store.holdNextCommit()
    const refused = inbox.acknowledge(ada, 1)
    await commit.begun
    commit.fail(new DatabaseUnavailable('The disk is full.'))
    await assert.rejects(refused, DatabaseUnavailable)

    // The same cursor again, which is in the memory of this process and not yet in the store.
    await inbox.acknowledge(ada, 1)

    assert.equal(store.acknowledgedSeq, 1)
  })
})

describe('a poll that acknowledges a message whose sender waits for a receipt', () => {
  it('is written at once, and not with a later commit', async (t) => {
    const { store, ada, poll, send } = openInbox(t)
    await send('one', true)
    await send('two')

    await poll(ada, { after: 1, waitMs: 0 })
    for (const _ of range(1, 5)) await nextTurn()

    assert.equal(store.acknowledgedSeq, 1)
  })
})

describe('an acknowledgement that is being written', () => {
  it('is stored before a caller that waits for all of them continues', async (t) => {
    const { inbox, store, ada, poll, send } = openInbox(t)
    await send('one')
    await poll(ada, { after: 1, waitMs: 0 })

    await inbox.acknowledgementsWritten()

    assert.equal(store.acknowledgedSeq, 1)
  })
})

describe('a poll whose time ends', () => {
  it('ends with its token when that expires before the wait is over, and empty otherwise', async (t) => {
    const { ada, poll } = openInbox(t)
    const soonMs = Date.now() + 100

    await assert.rejects(poll(ada, { after: 0, waitMs: 60_000, tokenExpiresAtMs: soonMs }), {
      code: 'invalid_token',
    })

    const tokenExpiresAtMs = Date.now() + 60_000
    assert.deepEqual((await poll(ada, { after: 0, waitMs: 100, tokenExpiresAtMs })).messages, [])
  })
})

describe('a poll that is answered from memory', () => {
  it('gets at most limit of a batch, and the rest with the next read', async (t) => {
    const { ada, poll, send } = openInbox(t)
    const parked = poll(ada, { after: 0, limit: 3 })
    await nextTurn()
    await Promise.all(range(1, 5).map((number) => send(String(number))))

    const first = await parked
    const rest = await poll(ada, { after: first.cursor, limit: 3 })

    assert.deepEqual([seqsOf(first.messages), first.cursor, first.hasMore], [[1, 2, 3], 3, true])
    assert.deepEqual([seqsOf(rest.messages), rest.cursor, rest.hasMore], [[4, 5], 5, false])
  })

  it('gets at most about 1 MiB of a batch, as from the store', async (t) => {
    const { ada, poll, send } = openInbox(t)
    const parked = poll(ada, { after: 0, limit: 500, waitMs: 60_000 })
    await nextTurn()
    await Promise.all(range(1, 100).map(() => send('m'.repeat(16_384))))

    const { messages, cursor } = await parked

    const bytes = Buffer.byteLength(JSON.stringify(messages))
    assert.ok(bytes <= 1_048_576, `a page of ${bytes} bytes`)
    assert.deepEqual(seqsOf(messages), range(1, cursor))
  })

  it('gets it together with other polls, each by its own limit', async (t) => {
    const { ada, poll, send } = openInbox(t)
    await send('1')
    const behind = poll(ada, { after: 1, limit: 1 })
    const beside = poll(sessionOf('laptop'), { after: 1 })
    await nextTurn()

    await Promise.all([send('2'), send('3')])

    assert.deepEqual([seqsOf((await behind).messages), (await behind).hasMore], [[2], true])
    assert.deepEqual([seqsOf((await beside).messages), (await beside).hasMore], [[2, 3], false])
  })
})

describe('many at once', () => {
  const server = shareServer()
  const multi = shareServer({ SESSION_POLICY: 'multi' })

  it('20 senders and one reader: the reader sees 1 to N, in order, without a gap or a repeat', async () => {
    const { client, ada } = await adaAndBob(await server())
    const senders = await Promise.all(range(1, 20).map(() => client.join(newName('sender'))))
    const texts = new Set<string>()

    const reading = readAll(ada, 200)
    await Promise.all(
      senders.map(async (sender) => {
        for (let i = 0; i < 10; i++) {
          const text = `${sender.username} ${i}`
          texts.add(text)
          assert.equal((await sender.send(ada, text)).status, 201)
        }
      }),
    )
    const seen = await reading

    assert.deepEqual(seqsOf(seen), range(1, 200))
    assert.deepEqual(new Set(seen.map(({ body }) => body)), texts)
    for (const { username } of senders) {
      const own = seen.filter(({ from }) => from === username).map(({ body }) => body)
      assert.deepEqual(
        own,
        range(0, 9).map((i) => `${username} ${i}`),
        'a sender that waits for each answer keeps its order',
      )
    }
  })

  it('several readers with different limits: each sees all messages, in order', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await multi())
    const [laptop, tablet] = [await client.enter(phone.username), await client.enter(phone.username)]

    const reading = Promise.all([readAll(phone, 100, 1), readAll(laptop, 100, 7), readAll(tablet, 100, 500)])
    await Promise.all(range(1, 10).map(() => bob.sendMany(phone, 10)))

    for (const seen of await reading) assert.deepEqual(seqsOf(seen), range(1, 100))
  })

  it('a conversation: every answer follows its question', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const turn = async (person: Person, number: number) => {
      const { messages } = (await person.poll({ after: number - 1 })).body
      assert.deepEqual(
        messages.map(({ seq, body }: Message) => [seq, body]),
        [[number, String(number)]],
      )
    }

    const asking = async () => {
      for (const number of range(1, 50)) {
        await ada.send(bob, String(number))
        await turn(ada, number)
      }
    }
    const answering = async () => {
      for (const number of range(1, 50)) {
        await turn(bob, number)
        await bob.send(ada, String(number))
      }
    }

    await Promise.all([asking(), answering()])
  })

  it('repeated takeovers while messages arrive: together, the sessions see all messages', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const total = 120
    const sending = Promise.all(range(1, 4).map(() => bob.sendMany(ada, total / 4)))

    const seen: number[] = []
    while (seen.length < total) {
      // A device that first shows the messages, and then uses its token.
      const { token, offlineMessages, cursor } = (await client.login(ada.username, { takeover: true })).body
      assert.equal(offlineMessages[0]?.seq ?? seen.length + 1, seen.length + 1, 'nothing skipped or repeated')
      seen.push(...seqsOf(offlineMessages))
      const { body } = await client.get(`/v1/inbox?after=${cursor}&wait=1`, { token })
      seen.push(...seqsOf(body.messages))
      await client.post('/v1/inbox/ack', { cursor: body.cursor }, { token })
    }
    await sending

    assert.deepEqual(seen, range(1, total))
  })

  it('a logout while messages are in flight: the poll gets them or ends, and nothing is lost', async (t) => {
    const { client, ada, bob } = await adaAndBob(await server())
    let acknowledged = 0
    let session = ada
    for (let round = 1; round <= 10; round++) {
      const poll = await park(t, session, `after=${acknowledged}`)
      const [, { status, body }] = await Promise.all([
        Promise.all([bob.send(ada, `message ${round}`), session.logout()]),
        poll.answer(),
      ])
      assert.ok(status === 200 || body.code === 'session_ended')

      const login = (await client.login(ada.username)).body
      assert.deepEqual(seqsOf(login.offlineMessages), [round], 'what was not acknowledged is there')
      acknowledged = round
      session = await client.enter(ada.username)
      assert.equal((await session.acknowledge(round)).status, 204)
    }
  })
})

/** Polls like a client until it has this many messages. */
async function readAll(person: Person, count: number, limit = 100): Promise<Message[]> {
  const seen: Message[] = []
  for (let cursor = 0; seen.length < count; ) {
    const { messages, cursor: next } = (await person.poll({ after: cursor, limit })).body
    seen.push(...messages)
    cursor = next
  }
  return seen
}

interface TestSession extends ReadingSession {
  ended: boolean
}

/** The inbox of ada over a store in memory. */
function openInbox(
  t: TestContext,
  { graceMs = 10_000, others, hints }: { graceMs?: number; others?: OtherNodes; hints?: PushHints } = {},
) {
  const store = new HeldStore()
  const mailboxes = new Mailboxes(Date.now)
  const presence = new Presence(graceMs, Date.now)
  t.after(() => {
    presence.close()
    mailboxes.close()
  })
  // The sockets keep a server running, not the timers of polls.
  const running = setInterval(() => {}, 60_000)
  t.after(() => clearInterval(running))
  const inbox = new Inbox(
    store,
    mailboxes,
    presence,
    new ClockHistory(Date.now),
    { idempotencyTtlMs: 1 },
    new ReadBudget(false),
    others,
    hints,
  )

  const poll = async (session: ReadingSession, request: Partial<PollRequest>) => {
    const whole = {
      after: undefined,
      limit: 100,
      away: false,
      waitMs: WAIT_MS,
      tokenExpiresAtMs: Number.MAX_SAFE_INTEGER,
      connection: connection(),
      response: response(),
      ...request,
    }
    const answer = await new Promise<PollAnswer>((resolve, reject) => {
      inbox.read(session, whole, (said) => (said instanceof Error ? reject(said) : resolve(said)))
    })
    return { ...answer, messages: messagesIn(answer.messages) }
  }
  const sender = { accountId: 2, username: 'bob' }
  const send = (body: string, wantsReceipt = false) =>
    inbox.append({ sender, to: 'ada', body, wantsReceipt, idempotencyKey: undefined })
  return { store, mailboxes, presence, inbox, ada: sessionOf('phone'), poll, send }
}

const sessionOf = (id: string): TestSession => ({
  id,
  username: 'ada',
  ended: false,
  accountId: 1,
  acknowledgedSeq: 0,
  offeredSeq: 0,
  handedSeq: 0,
})

/** An operation that waits until the test continues it. */
class Hold {
  readonly begun: Promise<void>
  readonly #over: Promise<void>
  begin = () => {}
  release = () => {}
  fail: (error: Error) => void = () => {}

  constructor() {
    this.begun = new Promise((resolve) => {
      this.begin = resolve
    })
    this.#over = new Promise((resolve, reject) => {
      this.release = resolve
      this.fail = reject
    })
  }

  pass(): Promise<void> {
    this.begin()
    return this.#over
  }
}

/** One inbox that behaves like the real stores. A held page was read before it was held. */
class HeldStore {
  acknowledgedSeq = 0
  wasHinted = false
  readonly #messages: Entry[] = []
  #heldPage: Hold | undefined
  #heldCommit: Hold | undefined

  holdNextPage(): Hold {
    this.#heldPage = new Hold()
    return this.#heldPage
  }

  /** A held commit has not happened, and never happens if it fails. */
  holdNextCommit(): Hold {
    this.#heldCommit = new Hold()
    return this.#heldCommit
  }

  async readInbox(_accountId: number, from: ReadFrom, { messages: limit }: PageSize): Promise<StoredPage> {
    const after = typeof from === 'number' ? from : this.acknowledgedSeq
    const messages = toEncodedList(this.#messages.slice(after, after + limit))
    const page = { after, messages, newestSeq: this.#messages.length, restoredFrom: undefined }
    const { wasHinted } = this
    const held = this.#heldPage
    this.#heldPage = undefined
    await held?.pass()
    return { ...page, wasHinted }
  }

  async commit({ acknowledgements, appends }: Batch): Promise<CommitResult> {
    const held = this.#heldCommit
    this.#heldCommit = undefined
    await held?.pass()
    for (const { seq } of acknowledgements) this.acknowledgedSeq = Math.max(this.acknowledgedSeq, seq)
    return { outcomes: appends.map((append) => this.#append(append)), receipts: [] }
  }

  async newestSeq() {
    return this.#messages.length
  }

  async findMessage() {
    return undefined
  }

  #append({ id, from, body, sentAtMs, live }: NewMessage): AppendOutcome {
    const seq = this.#messages.length + 1
    this.#messages.push({ seq, id, from, body, sentAtMs })
    return { kind: 'appended', seq, live }
  }
}

const nextTurn = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))
