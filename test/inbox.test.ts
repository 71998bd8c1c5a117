import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adaAndBob, Client, newName, range, seqsOf } from './support/client.ts'
import { asAfterCrash } from './support/databases.ts'
import { park } from './support/parked.ts'
import { shareServer, startServer } from './support/servers.ts'

const server = shareServer()

describe('the inbox', () => {
  it('numbers messages 1, 2, 3 … in commit order, from all senders', async () => {
    const client = new Client(await server())
    const ada = newName('ada')
    const senders = await Promise.all(range(1, 50).map(() => client.join(newName('sender'))))
    await client.register(ada)

    const sent = await Promise.all(
      senders.flatMap((sender) => [sender.send(ada, 'one'), sender.send(ada, 'two')]),
    )

    assert.deepEqual(new Set(sent.map(({ status }) => status)), new Set([201]))
    const { body } = await client.login(ada)
    assert.deepEqual(seqsOf(body.offlineMessages), range(1, 100))
  })
})

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
      await Promise.all(range(1, 100).map(() => bob.send(ada, text)))

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
})
