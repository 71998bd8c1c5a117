/**
 * No account can stop the reads of others: accounts take turns, few pages are in memory, repeated reads are
 * limited, and checks of the database are shared.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ClockHistory } from '../src/clock.ts'
import type { Batch, Entry, PageSize, ReadFrom, StoredPage } from '../src/database/database.ts'
import { FaultLog } from '../src/http/fault-log.ts'
import { Inbox } from '../src/inbox/inbox.ts'
import { Mailboxes } from '../src/inbox/mailboxes.ts'
import type { PollAnswer, PollRequest, ReadingSession } from '../src/inbox/poll.ts'
import { ReadTurns } from '../src/inbox/read-turns.ts'
import { RateLimits } from '../src/limits/rate-limits.ts'
import { ReadBudget } from '../src/limits/read-budget.ts'
import { toEncodedList } from '../src/message-list.ts'
import { acknowledge } from '../src/operations/acknowledge.ts'
import { getMessageStatus } from '../src/operations/getMessageStatus.ts'
import { getReadiness } from '../src/operations/getReadiness.ts'
import { getUser } from '../src/operations/getUser.ts'
import { renewToken } from '../src/operations/renewToken.ts'
import { Presence } from '../src/presence.ts'
import { Problem } from '../src/problems.ts'
import { adaAndBob, messagesIn, range, seqsOf } from './support/client.ts'
import { stillClock } from './support/clocks.ts'
import { connection, response, type TestResponse } from './support/connection.ts'
import { eventually } from './support/eventually.ts'
import { shareServer } from './support/servers.ts'

const MIB = 1_048_576
/** Enough to fill a page. */
const RECEIPT_IDS = 26_800
/** What an account may read again at once. */
const BUDGET = 128 * MIB
const [ADA, BOB, CAROL] = [1, 2, 3]

const limitedServer = shareServer({ RATE_LIMITS: 'on' })

describe('the queue in front of the store', () => {
  it('reads two pages of one account at a time, and then those of others before its third', async () => {
    const { begun, read, finish } = gatedReads()
    for (const number of range(1, 400)) read(ADA, `ada ${number}`)
    read(BOB, 'bob 1')
    read(CAROL, 'carol 1')
    read(BOB, 'bob 2')
    assert.deepEqual(begun, ['ada 1', 'ada 2', 'bob 1', 'carol 1'], 'four in all')

    await finish('ada 1')
    await finish('ada 2')
    assert.deepEqual(begun.slice(4), ['bob 2', 'ada 3'])
    await finish('carol 1')
    await finish('bob 1')
    assert.deepEqual(begun.slice(6), ['ada 4'], 'of ada no more than two, though there is room')
  })

  it('lets accounts take turns, page by page', async () => {
    const { begun, read, finish } = gatedReads()
    for (const account of [ADA, BOB, CAROL])
      for (const number of range(1, 4)) read(account, `${account} ${number}`)
    for (let done = 0; done < 12; done++) await finish(begun[done] ?? '')

    // The first four began at once, in the order of their arrival.
    assert.deepEqual(begun.slice(4), ['3 1', '1 3', '3 2', '1 4', '2 3', '3 3', '2 4', '3 4'])
  })

  it('continues after a failed read', async () => {
    const { begun, read, fail } = gatedReads()
    for (const number of range(1, 3)) read(ADA, `ada ${number}`)

    await fail('ada 1')

    assert.deepEqual(begun, ['ada 1', 'ada 2', 'ada 3'])
  })

  it('holds two large pages of one account, however many of its clients do not read', async () => {
    const { begun, read, finish } = gatedReads()
    const clients = range(1, 400).map((number) => read(ADA, `ada ${number}`))
    await finish('ada 1', MIB)
    await finish('ada 2', MIB)
    read(BOB, 'bob 1')

    assert.deepEqual(begun, ['ada 1', 'ada 2', 'bob 1'])
    clients[0]?.end()
    await turns()
    assert.deepEqual(begun.slice(3), ['ada 3'], 'one was written')
    clients[1]?.destroy()
    await turns()
    assert.deepEqual(begun.slice(4), ['ada 4'], 'one client has gone')
  })

  it('holds two pages that are long by the ids of receipts, or by the bytes of their characters', async () => {
    const { begun, read, finish } = gatedReads()
    for (const number of range(1, 5)) read(ADA, `ada ${number}`)

    await finish('ada 1', 0, RECEIPT_IDS)
    await finish('ada 2', 30_000, 0, '€')

    assert.deepEqual(begun, ['ada 1', 'ada 2'])
  })

  it('does not wait for clients to receive small pages', async () => {
    const { begun, read, finish } = gatedReads()
    for (const number of range(1, 5)) read(ADA, `ada ${number}`)

    await finish('ada 1', 1_000)
    await finish('ada 2', 1_000)

    assert.deepEqual(begun.slice(2), ['ada 3', 'ada 4'])
  })

  it('does not hold the page of a client that disconnected while it was read', async () => {
    const { begun, read, finish } = gatedReads()
    const [first] = range(1, 3).map((number) => read(ADA, `ada ${number}`))

    first?.destroy()
    await finish('ada 1', MIB)

    assert.deepEqual(begun, ['ada 1', 'ada 2', 'ada 3'])
  })

  it('cuts off a client that does not receive its page when another waits for the place', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { begun, read, finish } = gatedReads()
    const [first, second] = range(1, 2).map((number) => read(ADA, `ada ${number}`))
    await finish('ada 1', MIB)
    await finish('ada 2', MIB)

    t.mock.timers.tick(9_999)
    assert.equal(first?.destroyed, false, 'a slow client has its time')
    t.mock.timers.tick(10_000)
    assert.equal(first?.destroyed, false, 'and more of it while nobody waits')
    read(ADA, 'ada 3')
    await turns()

    assert.deepEqual([first?.destroyed, second?.destroyed, begun.at(-1)], [true, false, 'ada 3'])
  })
})

describe('a page', () => {
  it('is not read before its response can be written', async (t) => {
    const { store, ada, poll } = openInbox(t, { messages: 3 })
    const behind = response({ isNext: false })
    const answer = poll(ada, { after: 0, response: behind })
    await turns()
    assert.equal(store.reads, 0)

    behind.getSocket()

    assert.deepEqual(seqsOf((await answer).messages()), [1, 2, 3])
  })

  it('of a login is not read for a client that disconnected while its answer waited behind others', async (t) => {
    const { store, inbox } = openInbox(t, { messages: 3 })
    const [socket, behind] = [connection(), response({ isNext: false })]
    const page = inbox.firstPage(ADA, 100, behind, socket)
    await turns()

    socket.destroy()

    assert.deepEqual([await page, store.reads], [undefined, 0])
    assert.deepEqual([socket.listenerCount('close'), behind.listenerCount('socket')], [0, 0])
  })

  it('follows another one only after everything else has had its turn', async (t) => {
    const { ada, poll } = openInbox(t, { messages: 3 })
    let turnsOfOthers = 0
    const takeTurn = () => {
      turnsOfOthers += 1
      immediate = setImmediate(takeTurn)
    }
    let immediate = setImmediate(takeTurn)

    await Promise.all(range(1, 20).map(() => poll(ada, { after: 0 })))
    clearImmediate(immediate)

    assert.ok(turnsOfOthers >= 10, `Two pages at a time, and ${turnsOfOthers} turns of others.`)
  })

  it('is not made when a message arrives for a poll that waits behind another', async (t) => {
    const { store, ada, poll, send } = openInbox(t)
    await poll(ada, { after: 0 })
    const behind = response({ isNext: false })
    const answer = poll(ada, { after: 0, waitMs: 60_000, response: behind })
    behind.getSocket()
    behind.socket = null
    await turns()
    const { reads } = store

    await send('hello')
    await turns()
    assert.equal(store.reads, reads)
    behind.getSocket()

    assert.deepEqual(seqsOf((await answer).messages()), [1])
  })

  it('is not read for a client that has disconnected, and its account is not online', async (t) => {
    const { store, presence, ada, poll } = openInbox(t, { messages: 3 })
    const [socket, behind] = [connection(), response({ isNext: false })]
    const answer = poll(ada, { after: 0, connection: socket, response: behind })

    socket.destroy()

    assert.deepEqual((await answer).messages(), [])
    assert.deepEqual([store.reads, presence.isOnlineHere('ada')], [0, false])
    assert.deepEqual([socket.listenerCount('close'), behind.listenerCount('socket')], [0, 0])
  })

  it('of a login waits for the acknowledgements of its account, and for no message of others', async (t) => {
    const { store, inbox, ada, send } = openInbox(t, { messages: 3 })
    const first = () => inbox.firstPage(ADA, 100, response(), connection())
    const commit = store.holdCommits()
    const sent = send('on its way')
    await turns()
    assert.equal((await first())?.cursor, 3)

    const acknowledged = inbox.acknowledge(ada, 3)
    await turns()
    const page = first()
    commit.release()
    await Promise.all([sent, acknowledged])

    assert.equal((await page)?.after, 3)
  })

  describe('over HTTP', () => {
    it('has the messages that arrived before its turn', async (t) => {
      const { ada, bob } = await adaAndBob(await limitedServer())
      const { hostname, port } = new URL(ada.client.url)
      const socket = connect(Number(port), hostname)
      t.after(() => socket.destroy())
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      const request = (query: string, end = '') =>
        `GET /v1/inbox?${query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${ada.token}\r\n${end}\r\n`
      // The second is behind the first, which waits for the message.
      socket.write(request('after=0&wait=55') + request('wait=0', 'Connection: close\r\n'))
      await eventually('the poll waits', async () => (await bob.user(ada)).body.online)

      await bob.send(ada, 'worth the wait')
      await once(socket, 'close')

      assert.equal(text.match(/worth the wait/g)?.length, 2, text)
    })
  })
})

describe('reading without waiting', () => {
  it('is allowed for ten devices that each drain an inbox of 10 000 at the same time', async (t) => {
    stillClock(t)
    const { poll } = openInbox(t, { messages: 10_000, length: 200 })
    for (const device of range(1, 10)) {
      const session = sessionOf(`device ${device}`)
      let [cursor, hasMore] = [0, true]
      while (hasMore) ({ cursor, hasMore } = await poll(session, { after: cursor, limit: 500 }))
      assert.equal(cursor, 10_000)
    }
  })

  it('costs nothing the first time, however much is read', async (t) => {
    stillClock(t)
    const { budget, ada, poll } = openInbox(t, { messages: 10, length: MIB })
    budget.chargePage(ADA, BUDGET - MIB)
    for (const after of range(0, 9)) assert.equal((await poll(ada, { after })).messages().length, 1)
  })

  it('is refused, without a read, when the same messages are read again and again, until Retry-After is over', async (t) => {
    const clock = stillClock(t)
    const { store, ada, bob, poll } = openInbox(t, { messages: 2, length: MIB })
    await poll(bob, { after: 2 })
    const refusal = await readUntilRefused((round) => poll(ada, { after: round % 2 }))
    const { reads } = store
    // The first read cost nothing.
    assert.ok(reads > 120 && reads < 135, `${reads} pages of 1 MiB`)
    const { retryAfterSeconds = 0 } = refusal.extras

    clock.tick(retryAfterSeconds * 1_000 - 1_000)
    await assert.rejects(poll(ada, { after: 1 }), { code: 'rate_limited' })
    assert.equal(store.reads, reads)
    clock.tick(1_000)
    assert.equal((await poll(ada, { after: 1 })).messages().length, 1)
  })

  for (const [what, messages] of [
    ['the ids of receipts, too', { length: 0, ids: RECEIPT_IDS }],
    ['bytes, of characters that have several', { length: MIB / 3, character: '€' }],
  ] as const)
    it(`counts ${what}`, async (t) => {
      stillClock(t)
      const { store, budget, ada, poll } = openInbox(t, { messages: 1, ...messages })
      budget.chargePage(ADA, BUDGET - 10 * MIB)

      await readUntilRefused(() => poll(ada, { after: 0 }))

      assert.ok(store.reads < 17, `${store.reads} pages of 1 MiB`)
    })

  it('is counted per account, over all its connections', async (t) => {
    stillClock(t)
    const { store, budget, poll } = openInbox(t, { messages: 1, length: MIB })
    budget.chargePage(ADA, BUDGET - 20 * MIB)
    const devices = range(0, 9).map((number) => sessionOf(`device ${number}`))
    const polls = range(1, 60).map((number) => poll(devices[number % 10] as ReadingSession, { after: 0 }))

    const ends = await Promise.allSettled(polls)

    const served = ends.filter(({ status }) => status === 'fulfilled').length
    // The first page of each device, and 20 more.
    assert.ok(served > 22 && served < 37, `${served} were served`)
    assert.equal(store.reads, served)
  })

  it('acknowledges nothing, and makes no account online, when it is refused', async (t) => {
    stillClock(t)
    const { presence, budget, ada, poll } = openInbox(t, { messages: 2, graceMs: 0 })
    budget.chargePage(ADA, 2 * BUDGET)

    await assert.rejects(poll(ada, { after: 1 }), { code: 'rate_limited' })

    assert.deepEqual([ada.acknowledgedSeq, presence.isOnlineHere('ada')], [0, false])
  })

  it('does not affect a parked poll', async (t) => {
    stillClock(t)
    const { budget, ada, poll, send } = openInbox(t, { messages: 1 })
    budget.chargePage(ADA, 2 * BUDGET)
    await assert.rejects(poll(ada, { after: 0 }), { code: 'rate_limited' })

    const waiting = poll(ada, { after: 1, waitMs: 60_000 })
    await turns()
    await send('worth the wait')

    assert.deepEqual(seqsOf((await waiting).messages()), [2])
  })

  it('is refused when a session repeats reads that find nothing, with alternating cursors', async (t) => {
    stillClock(t)
    const { ada, bob, poll } = openInbox(t)
    const refusal = await readUntilRefused((round) =>
      round % 2 === 0 ? poll(ada, { after: 0 }) : poll(ada, { after: undefined }),
    )

    assert.equal(refusal.extras.retryAfterSeconds, 1)
    assert.deepEqual((await poll(bob, { after: 0 })).messages(), [], 'another session may')
  })

  it('is refused when a session repeats a cursor from the future, however long it would wait', async (t) => {
    stillClock(t)
    const { ada, poll } = openInbox(t)
    const ahead = () =>
      poll(ada, { after: 7, waitMs: 60_000 }).catch((error: Problem) => {
        if (error.code !== 'cursor_ahead') throw error
      })

    await readUntilRefused(ahead)
  })
})

it('operations on users, messages and tokens are limited, and refused before the store is read', async (t) => {
  stillClock(t)
  const limits = new RateLimits(true)
  const account = { accountId: ADA, username: 'ada' }
  const request = { account, identity: { session: account }, params: { username: 'bob' }, body: {} }
  const call = (handler: unknown) =>
    (handler as (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>)(
      request as unknown as FastifyRequest,
      {} as FastifyReply,
    )
  // Every other call fails differently.
  const nothing = undefined as never
  const limited = [
    ['lookups', 2_000, getUser(nothing, nothing, nothing, nothing, limits)],
    ['statuses', 2_000, getMessageStatus(nothing, limits)],
    ['acknowledgements', 20_000, acknowledge(nothing, limits)],
    ['renewals', 100, renewToken(nothing, limits)],
  ] as const
  for (const [limit, burst, handler] of limited) {
    for (const _ of range(1, burst)) limits.take(limit, ADA)
    const refused = await readUntilRefused(() => call(handler).catch(rethrowProblem))
    assert.equal(refused.extras.retryAfterSeconds, 1, limit)
    limits.take(limit, BOB)
  }
})

it('a refusal of these operations matches the contract', async (t) => {
  const { ada } = await adaAndBob(await limitedServer())
  stillClock(t)

  const renewals = await Promise.all(range(1, 105).map(() => ada.request('POST', '/v1/token')))

  const refused = renewals.filter(({ status }) => status !== 200)
  assert.equal(refused.length, 5)
  for (const { status, headers, body } of refused)
    assert.deepEqual([status, body.code, headers.get('retry-after')], [429, 'rate_limited', '1'])
})

describe('/readyz', () => {
  it('checks the database once per second, however many requests there are', async (t) => {
    const clock = stillClock(t)
    let pings = 0
    const ask = readiness(async () => {
      pings += 1
    })

    await Promise.all(range(1, 1_000).map(ask))
    clock.tick(999)
    await ask()
    assert.equal(pings, 1)
    clock.tick(1)
    assert.deepEqual(await ask(), { status: 'ready' })
    assert.equal(pings, 2)
  })

  it('answers 503 for a second, and then checks again', async (t) => {
    const clock = stillClock(t)
    let failure: Error | undefined = new Error('The disk is gone.')
    const ask = readiness(async () => {
      if (failure) throw failure
    })

    await assert.rejects(ask(), failure)
    await assert.rejects(ask(), failure)
    failure = undefined
    clock.tick(1_000)

    assert.deepEqual(await ask(), { status: 'ready' })
  })

  it('has one check at a time under way while the database does not answer', async (t) => {
    const clock = stillClock(t)
    let pings = 0
    const ask = readiness(() => {
      pings += 1
      return new Promise(() => {})
    })

    const answers: Promise<unknown>[] = []
    for (const _ of range(1, 3)) {
      answers.push(assert.rejects(ask(), { code: 'overloaded' }))
      clock.tick(1_000)
    }
    // Its timer does not keep the process running, as is right for a server.
    const running = setInterval(() => {}, 60_000)
    t.after(() => clearInterval(running))
    await Promise.all(answers)

    assert.equal(pings, 1)
  })
})

describe('the log of faults', () => {
  it('has each kind once per second: the first at once, and then its count', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { log, lines } = faultLog()
    for (const reqId of range(1, 1_000)) log.write('warn', { reqId }, 'database unavailable', 'locked')
    log.write('warn', { reqId: 1_001 }, 'database unavailable', 'full')
    assert.deepEqual(lines.splice(0), [
      ['database unavailable', { reqId: 1 }],
      ['database unavailable', { reqId: 1_001 }],
    ])

    t.mock.timers.tick(1_000)
    assert.deepEqual(lines.splice(0), [['database unavailable', { reqId: 1, count: 999 }]])
    log.write('warn', { reqId: 1_002 }, 'database unavailable', 'locked')
    assert.deepEqual(lines, [], 'a second after the last line')
    t.mock.timers.tick(1_000)
    assert.deepEqual(lines.splice(0), [['database unavailable', { reqId: 1, count: 1 }]])
    t.mock.timers.tick(1_000)
    assert.deepEqual(lines, [])
    log.write('warn', { reqId: 1_003 }, 'database unavailable', 'locked')
    assert.deepEqual(lines, [['database unavailable', { reqId: 1_003 }]], 'it had stopped')
  })

  it('distinguishes a hundred kinds, and has one line for the others', () => {
    const { log, lines } = faultLog()

    for (const reqId of range(1, 1_000)) log.write('error', { reqId }, 'fault', `fault number ${reqId}`)

    assert.equal(lines.length, 101)
  })
})

function faultLog() {
  const lines: [string, object][] = []
  const write = (fields: object, message: string) => void lines.push([message, fields])
  return { log: new FaultLog({ warn: write, error: write } as never), lines }
}

function readiness(ping: () => Promise<void>) {
  const handler = getReadiness({ ping }) as unknown as () => Promise<unknown>
  return () => handler()
}

/** Reads that the test ends. */
function gatedReads() {
  const line = new ReadTurns()
  const begun: string[] = []
  const gates = new Map<
    string,
    { resolve: (page: Pick<StoredPage, 'messages'>) => void; reject: () => void }
  >()
  const read = (accountId: number, name: string): TestResponse => {
    const carrier = response()
    const page = () => {
      begun.push(name)
      return new Promise<Pick<StoredPage, 'messages'>>((resolve, reject) =>
        gates.set(name, { resolve, reject }),
      )
    }
    line.read(accountId, carrier, page).catch(() => {})
    return carrier
  }
  const finish = async (name: string, length = 0, ids = 0, character = 'x') => {
    gates.get(name)?.resolve({ messages: toEncodedList([messageOf(1, length, ids, character)]) })
    await turns()
  }
  const fail = async (name: string) => {
    gates.get(name)?.reject()
    await turns()
  }
  return { begun, read, finish, fail }
}

/** Ada's inbox over a store in memory. */
function openInbox(
  t: TestContext,
  { messages = 0, length = 10, ids = 0, character = 'x', graceMs = 10_000 } = {},
) {
  const store = new CountingStore(messages, length, ids, character)
  const mailboxes = new Mailboxes(Date.now)
  const presence = new Presence(graceMs, Date.now)
  t.after(() => {
    presence.close()
    mailboxes.close()
  })
  const rules = { idempotencyTtlMs: 1 }
  const budget = new ReadBudget(true)
  const inbox = new Inbox(store, mailboxes, presence, new ClockHistory(Date.now), rules, budget)
  const poll = async (session: ReadingSession, request: Partial<PollRequest>) => {
    const whole = {
      after: undefined,
      limit: 100,
      away: false,
      waitMs: 0,
      tokenExpiresAtMs: Number.MAX_SAFE_INTEGER,
      connection: connection(),
      response: response(),
      ...request,
    }
    const answer = await new Promise<PollAnswer>((resolve, reject) => {
      inbox.read(session, whole, (said) => (said instanceof Error ? reject(said) : resolve(said)))
    })
    ;(whole.response as TestResponse).end()
    const { cursor, hasMore, messages } = answer
    return { cursor, hasMore, messages: () => messagesIn(messages) }
  }
  const send = (body: string) =>
    inbox.append({ sender: { accountId: BOB, username: 'bob' }, to: 'ada', body, idempotencyKey: undefined })
  const [ada, bob] = [sessionOf('phone'), sessionOf('laptop')]
  return { store, mailboxes, presence, budget, inbox, ada, bob, poll, send }
}

const sessionOf = (id: string): ReadingSession => ({
  id,
  username: 'ada',
  ended: false,
  accountId: ADA,
  acknowledgedSeq: 0,
  offeredSeq: 0,
  handedSeq: 0,
})

/** @param ids how many ids a receipt has; 0 for a message */
const messageOf = (seq: number, length: number, ids = 0, character = 'x'): Entry => ({
  seq,
  id: `message ${seq}`,
  from: 'bob',
  body: character.repeat(length),
  sentAtMs: 0,
  ...(ids > 0 && { receiptFor: range(1, ids).map(() => '01a20779-7500-71c9-b0a4-e83d57f2094b') }),
})

/** One inbox that counts its reads. */
class CountingStore {
  reads = 0
  #acknowledgedSeq = 0
  #held: Promise<void> | undefined
  readonly #messages: Entry[]

  constructor(messages: number, length: number, ids: number, character: string) {
    this.#messages = range(1, messages).map((seq) => messageOf(seq, length, ids, character))
  }

  async readInbox(_accountId: number, from: ReadFrom, size: PageSize): Promise<StoredPage> {
    this.reads += 1
    const after = typeof from === 'number' ? from : this.#acknowledgedSeq
    const messages: Entry[] = []
    let bytes = 0
    for (const message of this.#messages.slice(after, after + size.messages)) {
      messages.push(message)
      bytes += message.body.length
      if (bytes >= size.bytes) break
    }
    return {
      after,
      messages: toEncodedList(messages),
      newestSeq: this.#messages.length,
      restoredFrom: undefined,
    }
  }

  /** Commits wait until they are released. */
  holdCommits() {
    let release = () => {}
    this.#held = new Promise((resolve) => {
      release = resolve
    })
    return { release: () => release() }
  }

  async commit({ acknowledgements, appends }: Batch) {
    await this.#held
    for (const { seq } of acknowledgements) this.#acknowledgedSeq = Math.max(this.#acknowledgedSeq, seq)
    const outcomes = appends.map(({ body }) => {
      const seq = this.#messages.length + 1
      this.#messages.push({ ...messageOf(seq, 0), body })
      return { kind: 'appended' as const, seq, live: false }
    })
    return { outcomes, receipts: [] }
  }

  newestSeq = async () => this.#messages.length
  findMessage = async () => undefined
}

/** Resolves with the final refusal. */
async function readUntilRefused(read: (round: number) => Promise<unknown>): Promise<Problem> {
  for (const round of range(1, 1_000)) {
    try {
      await read(round)
    } catch (error) {
      if (error instanceof Problem && error.code === 'rate_limited') return error
      throw error
    }
  }
  return assert.fail('Nothing was refused.')
}

/** Any other error means that it was not refused. */
function rethrowProblem(error: unknown) {
  if (error instanceof Problem) throw error
}

/** Waits until everything pending has run. */
async function turns() {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
