import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { adaAndBob, Client, range, seqsOf } from './support/client.ts'
import { asAfterCrash } from './support/databases.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { shareServer, startServer } from './support/servers.ts'

const server = shareServer()
const withLimits = shareServer({ RATE_LIMITS: 'on' })
const withoutGrace = shareServer({ PRESENCE_GRACE: '0s' })

describe('reading the inbox', () => {
  it('returns the messages after the cursor, in order, at most limit, and whether there are more', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const ids = await bob.sendMany(ada, 5)

    const first = await ada.poll({ after: 0, limit: 2 })
    const second = await ada.poll({ after: 2, limit: 2 })
    const third = await ada.poll({ after: 4, limit: 2 })

    assert.deepEqual(
      [first, second, third].map(({ body }) => [seqsOf(body.messages), body.cursor, body.hasMore]),
      [
        [[1, 2], 2, true],
        [[3, 4], 4, true],
        [[5], 5, false],
      ],
    )
    const { messages } = (await ada.poll({ after: 0, limit: 5 })).body
    assert.deepEqual(
      messages.map(({ id, from, body }: Record<string, unknown>) => [id, from, body]),
      ids.map((id, i) => [id, bob.username, `message ${i + 1}`]),
    )
  })

  it('returns 100 messages unless limit says otherwise, and at most 500', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await Promise.all(range(1, 6).map(() => bob.sendMany(ada, 90)))

    const usual = await ada.poll({ after: 0 })
    const most = await ada.poll({ after: 0, limit: 500 })
    const tooMuch = await ada.poll({ after: 0, limit: 501 })
    const nothing = await ada.poll({ after: 0, limit: 0 })

    assert.deepEqual([seqsOf(usual.body.messages), usual.body.hasMore], [range(1, 100), true])
    assert.deepEqual([seqsOf(most.body.messages), most.body.hasMore], [range(1, 500), true])
    assert.deepEqual([tooMuch.body.code, nothing.body.code], ['invalid_request', 'invalid_request'])
  })

  for (const [letters, letter] of [
    ['ASCII', 'a'],
    ['letters of three bytes', '信'],
    ['characters that JSON escapes', '\u0001'],
  ] as const) {
    it(`ends a page at about 1 MiB, with ${letters}`, async () => {
      const { ada, bob } = await adaAndBob(await server())
      const text = letter.repeat(16_384)
      for (let i = 0; i < 100; i++) await bob.send(ada, text)

      const seen: number[] = []
      for (let hasMore = true; hasMore; ) {
        const { body } = await ada.poll({ after: seen.length, limit: 500 })
        const bytes = Buffer.byteLength(JSON.stringify(body))
        assert.ok(bytes <= 1.01 * 1_048_576, `a page of ${bytes} bytes`)
        assert.ok(bytes >= 0.5 * 1_048_576 || !body.hasMore, `a page of only ${bytes} bytes`)
        seen.push(...seqsOf(body.messages))
        hasMore = body.hasMore
      }

      assert.deepEqual(seen, range(1, 100))
    })
  }

  it('removes nothing: a repeated read returns the same page', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 3)

    const first = await ada.poll({ after: 0 })
    const again = await ada.poll({ after: 0 })

    assert.deepEqual(seqsOf(first.body.messages), [1, 2, 3])
    assert.deepEqual(again.body, first.body)
  })

  it('acknowledges everything up to after, and nothing else', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const ids = await bob.sendMany(ada, 3)

    await ada.poll({ after: 0 })
    const read = await Promise.all(ids.map((id) => bob.status(id)))
    await ada.poll({ after: 2 })
    const acknowledged = await Promise.all(ids.map((id) => bob.status(id)))

    assert.deepEqual(
      [read, acknowledged].map((answers) => answers.map(({ body }) => body.state)),
      [
        ['stored', 'stored', 'stored'],
        ['delivered', 'delivered', 'stored'],
      ],
    )
  })

  it('never moves the acknowledged cursor back, by a poll or an acknowledgement', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const ids = await bob.sendMany(ada, 3)
    assert.equal((await ada.acknowledge(2)).status, 204)

    const older = await ada.poll({ after: 1 })
    assert.deepEqual(seqsOf(older.body.messages), [2, 3], 'what is acknowledged can be read again')
    assert.equal((await ada.acknowledge(0)).status, 204)

    assert.equal((await bob.status(ids[1] ?? '')).body.state, 'delivered')
    assert.deepEqual(seqsOf((await ada.poll()).body.messages), [3])
    await ada.logout()
    assert.deepEqual(seqsOf((await client.login(ada.username)).body.offlineMessages), [3])
  })

  it('without after starts after the last acknowledged message, and acknowledges nothing', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const ids = await bob.sendMany(ada, 3)
    await ada.acknowledge(1)

    const first = await ada.poll()
    const again = await ada.poll()

    assert.deepEqual([seqsOf(first.body.messages), first.body.cursor], [[2, 3], 3])
    assert.deepEqual(again.body, first.body)
    assert.equal((await bob.status(ids[1] ?? '')).body.state, 'stored')
  })

  it('acknowledges durably before it answers an acknowledgement', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.sendMany(ada, 3)
    await ada.acknowledge(2)

    const { database } = await server()
    const restored = new Client(await startServer(t, {}, asAfterCrash(database)))

    assert.deepEqual(seqsOf((await restored.login(ada.username)).body.offlineMessages), [3])
  })

  it('refuses a cursor from the future at once, reports the newest, and acknowledges nothing', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const empty = await ada.poll({ after: 1, wait: 25 })
    const [id = ''] = await bob.sendMany(ada, 2)

    const poll = await ada.poll({ after: 3, wait: 25 })
    const acknowledgement = await ada.acknowledge(3)
    // While a poll waits, the newest number is known without reading the store.
    await park(t, ada, 'after=2')
    const pollBeside = await ada.poll({ after: 3, wait: 25 })
    const acknowledgementBeside = await ada.acknowledge(9_007_199_254_740_991)

    assert.deepEqual([empty.body.code, empty.body.cursor], ['cursor_ahead', 0])
    for (const { status, body } of [poll, acknowledgement, pollBeside, acknowledgementBeside]) {
      assert.deepEqual([status, body.code, body.cursor], [409, 'cursor_ahead', 2])
    }
    assert.equal((await bob.status(id)).body.state, 'delivered', 'by the parked poll')
  })

  it('acknowledges nothing with a cursor from the future', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const [id = ''] = await bob.sendMany(ada, 1)

    await ada.poll({ after: 2 })
    await ada.acknowledge(2)

    assert.equal((await bob.status(id)).body.state, 'stored')
    assert.deepEqual(seqsOf((await ada.poll()).body.messages), [1])
  })

  it('returns a message again when the answer that carried it was lost', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada, 'after=0')
    const [id = ''] = await bob.sendMany(ada, 1)
    const lost = await poll.answered
    assert.equal(lost.statusCode, 200)
    poll.socket.destroy()

    const again = await ada.poll({ after: 0 })

    assert.deepEqual(seqsOf(again.body.messages), [1])
    assert.equal((await bob.status(id)).body.state, 'stored')
  })

  it('reads on through the backlog when a message arrives that is newer than it', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    await ada.logout()
    await Promise.all(range(1, 5).map(() => bob.sendMany(ada, 30)))
    const reader = await client.enter(ada.username)
    assert.equal(reader.cursor, 100)

    const [page] = await Promise.all([
      reader.poll({ after: 100, limit: 10 }),
      bob.send(ada, 'the newest of all'),
    ])
    const rest = await reader.poll({ after: page.body.cursor })

    assert.deepEqual([seqsOf(page.body.messages), page.body.cursor], [range(101, 110), 110])
    assert.deepEqual([seqsOf(rest.body.messages), rest.body.cursor], [range(111, 151), 151])
  })

  it('limits a client that repeats the same cursor without waiting', async () => {
    const { ada, bob } = await adaAndBob(await withLimits())

    const answers = []
    for (let i = 0; i < 50; i++) answers.push(await ada.poll({ after: 0, wait: 0 }))
    const refused = answers.find(({ status }) => status === 429)

    assert.equal(answers[0]?.status, 200)
    assert.equal(refused?.body.code, 'rate_limited')
    assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
    assert.equal((await bob.poll({ wait: 0 })).status, 200, 'somebody else is not concerned')
    assert.equal((await ada.poll({ after: 0, wait: 1 })).status, 200, 'nor who waits')
    await bob.send(ada, 'hello')
    for (let cursor = 0; cursor < 40; cursor++) {
      assert.equal((await ada.poll({ after: cursor, wait: 0 })).status, 200, 'nor who gets something')
      await bob.send(ada, 'more')
    }
  })
})

describe('the long poll', () => {
  it('is answered by the first message at once', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada, 'after=0&wait=55')

    const sentAtMs = Date.now()
    const receipt = await bob.send(ada, 'hello')
    const { body } = await poll.answer()

    assert.ok(Date.now() - sentAtMs < AT_ONCE_MS)
    const { id, sentAt, delivery } = receipt.body
    assert.equal(delivery, 'live')
    assert.deepEqual(body, {
      messages: [{ seq: 1, id, from: bob.username, body: 'hello', sentAt }],
      cursor: 1,
      hasMore: false,
    })
  })

  it('does not wait when there is something, and waits 25 seconds by default', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.send(ada, 'hello')

    const startedAtMs = Date.now()
    assert.deepEqual(seqsOf((await ada.poll({ after: 0 })).body.messages), [1])
    assert.ok(Date.now() - startedAtMs < AT_ONCE_MS)

    const poll = await park(t, ada, 'after=1')
    await bob.send(ada, 'and again')
    assert.deepEqual(seqsOf((await poll.answer()).body.messages), [2])
  })

  it('is answered at once, empty and with the same cursor, with wait=0', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.send(ada, 'hello')

    const startedAtMs = Date.now()
    const answer = await ada.poll({ after: 1, wait: 0 })

    assert.ok(Date.now() - startedAtMs < AT_ONCE_MS)
    assert.deepEqual([answer.status, answer.body], [200, { messages: [], cursor: 1, hasMore: false }])
  })

  it('is answered when its time is over, empty and with the same cursor', async () => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.send(ada, 'hello')

    const startedAtMs = Date.now()
    const answer = await ada.poll({ after: 1, wait: 1 })

    const tookMs = Date.now() - startedAtMs
    assert.ok(tookMs >= 990 && tookMs < 1_000 + AT_ONCE_MS, `${tookMs} ms`)
    assert.deepEqual([answer.status, answer.body], [200, { messages: [], cursor: 1, hasMore: false }])
  })

  it('waits as long as Prefer says, and confirms it', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const startedAtMs = Date.now()

    const alone = await ada.poll({ after: 0, headers: { prefer: 'wait=1' } })
    const tookMs = Date.now() - startedAtMs
    assert.ok(tookMs >= 990 && tookMs < 1_000 + AT_ONCE_MS, `${tookMs} ms`)
    assert.equal(alone.headers.get('preference-applied'), 'wait=1')

    const amongOthers = await ada.poll({ after: 0, headers: { prefer: 'respond-async, wait=0; foo' } })
    assert.equal(amongOthers.headers.get('preference-applied'), 'wait=0')

    const ignored = await park(t, ada, 'after=0', { prefer: 'handling=lenient, no-wait=0' })
    await bob.send(ada, 'hello')
    const answer = await ignored.answer()
    assert.equal(answer.headers.get('preference-applied'), null)
    assert.deepEqual(seqsOf(answer.body.messages), [1])
  })

  it('follows the query where query and Prefer differ', async () => {
    const { ada } = await adaAndBob(await server())

    const startedAtMs = Date.now()
    const answer = await ada.poll({ after: 0, wait: 0, headers: { prefer: 'wait=40' } })

    assert.ok(Date.now() - startedAtMs < AT_ONCE_MS)
    assert.equal(answer.headers.get('preference-applied'), null)
  })

  it('waits at most 55 seconds: Prefer is capped, and a query that asks for more is refused', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const poll = await park(t, ada, 'after=0', { prefer: 'wait=600' })
    await bob.send(ada, 'hello')

    assert.equal((await poll.answer()).headers.get('preference-applied'), 'wait=55')
    const refused = await ada.poll({ after: 1, wait: 56 })
    assert.deepEqual([refused.status, refused.body.code], [400, 'invalid_request'])
  })

  it('delivers a message to every poll that waits for it', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    await bob.send(ada, 'old')
    const polls = []
    for (let i = 0; i < 5; i++) polls.push(await park(t, ada, 'after=1'))

    await bob.send(ada, 'new')

    for (const poll of polls) assert.deepEqual(seqsOf((await poll.answer()).body.messages), [2])
  })

  it('answers the oldest poll of a session, empty, when a ninth one comes', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const polls = []
    for (let i = 0; i < 8; i++) polls.push(await park(t, ada, 'after=0&wait=55'))

    const startedAtMs = Date.now()
    polls.push(await park(t, ada, 'after=0&wait=55'))
    const [oldest, ...others] = polls
    const displaced = await oldest?.answer()
    assert.ok(Date.now() - startedAtMs < AT_ONCE_MS)
    await bob.send(ada, 'hello')

    assert.deepEqual(displaced?.body, { messages: [], cursor: 0, hasMore: false })
    for (const other of others) assert.deepEqual(seqsOf((await other.answer()).body.messages), [1])
  })

  it('slows down nine clients of a session that displace each other in turn', async (t) => {
    const { ada } = await adaAndBob(await withLimits())
    const stopping = new AbortController()
    t.after(() => stopping.abort())
    const statuses: number[] = []
    const loop = async () => {
      while (!stopping.signal.aborted && statuses.at(-1) !== 429)
        statuses.push((await ada.poll({ after: 0, wait: 25, signal: stopping.signal })).status)
    }
    for (let i = 0; i < 9; i++) loop().catch(() => {})

    await eventually('one of them is rate limited', () => statuses.includes(429) || statuses.length > 500)

    assert.ok(statuses.includes(429), `${statuses.length} polls were answered, none was rate limited`)
  })

  for (const [how, drop] of [
    ['closed', 'destroy'],
    ['reset', 'resetAndDestroy'],
  ] as const) {
    it(`is forgotten at once when its connection is ${how}`, async (t) => {
      const { ada, bob } = await adaAndBob(await withoutGrace())
      const poll = await park(t, ada, 'after=0&wait=55')

      poll.socket[drop]()

      await eventually('ada is offline', async () => !(await bob.user(ada)).body.online, AT_ONCE_MS)
      assert.equal((await bob.send(ada, 'hello')).body.delivery, 'stored')
      assert.deepEqual(seqsOf((await ada.poll({ after: 0 })).body.messages), [1])
    })
  }

  it('is forgotten at once with its connection, even behind another poll there', async (t) => {
    const { ada, bob } = await adaAndBob(await withoutGrace())
    const poll = await park(t, ada, 'after=0&wait=55')
    // Pipelined (RFC 9112 §9.3.2): Node answers it after the first.
    poll.socket.write(
      `GET /v1/inbox?wait=55 HTTP/1.1\r\nHost: restante\r\nAuthorization: Bearer ${ada.token}\r\n\r\n`,
    )
    await bob.user(ada)

    poll.socket.destroy()

    await eventually('ada is offline', async () => !(await bob.user(ada)).body.online, AT_ONCE_MS)
  })

  it('outlives an older poll whose connection ends late', async (t) => {
    const { ada, bob } = await adaAndBob(await withoutGrace())
    const older = await park(t, ada, 'after=0&wait=55')
    const newer = await park(t, ada, 'after=0&wait=55')

    older.socket.destroy()
    await once(older.socket, 'close')
    // By now the server has noticed the end, and has answered another request since.
    for (let i = 0; i < 5; i++) assert.equal((await bob.user(ada)).body.online, true)
    const { delivery } = (await bob.send(ada, 'hello')).body

    assert.equal(delivery, 'live')
    assert.deepEqual(seqsOf((await newer.answer()).body.messages), [1])
  })
})
