import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { adaAndBob, seqsOf } from './support/client.ts'
import { AT_ONCE_MS, eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { shareServer } from './support/servers.ts'

const server = shareServer()
const withLimits = shareServer({ RATE_LIMITS: 'on' })
const withoutGrace = shareServer({ PRESENCE_GRACE: '0s' })

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
