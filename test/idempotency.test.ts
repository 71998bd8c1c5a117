import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { Client, Person, range, seqsOf } from './support/client.ts'
import type { Answer } from './support/contract-check.ts'
import { eventually } from './support/eventually.ts'
import { park } from './support/parked.ts'
import { startServer } from './support/servers.ts'
import { stored } from './support/stored.ts'

const isReplay = ({ headers }: Answer) => headers.get('idempotent-replayed') === 'true'

function assertReplayOf(first: Answer, again: Answer) {
  assert.ok(isReplay(again), 'Idempotent-Replayed is missing')
  assert.deepEqual([again.status, again.body], [201, first.body])
  assert.equal(again.headers.get('location'), first.headers.get('location'))
}

test('an idempotency key', async (t) => {
  const server = await startServer(t)
  const client = new Client(server)
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]
  await client.register('alan')

  /** The number of messages in the inbox of an account. */
  const inboxOf = async (username: string) => {
    const { account = [], message = [] } = await stored(server.database)
    const id = account.find((row) => row['username'] === username)?.['id']
    return message.filter((row) => row['recipient_id'] === id)
  }

  await t.test('gives the first answer again, and sends nothing again', async () => {
    const first = await ada.send('grace', 'Hello', 'key-1')
    const count = (await inboxOf('grace')).length

    const again = await ada.send('grace', 'Hello', 'key-1')

    assert.equal(isReplay(first), false)
    assertReplayOf(first, again)
    assertReplayOf(first, await ada.send('GRACE', 'Hello', 'key-1'))
    assert.equal((await inboxOf('grace')).length, count)
  })

  await t.test('repeats that the message was live, even if its recipient has gone offline', async (t) => {
    const parked = await park(t, grace, `after=${(await inboxOf('grace')).length}`)
    const first = await ada.send('grace', 'Are you there?', 'live')
    await parked.answer()
    await grace.logout()

    assert.equal(first.body.delivery, 'live')
    assert.equal((await ada.send('grace', 'After the logout')).body.delivery, 'stored')
    assertReplayOf(first, await ada.send('grace', 'Are you there?', 'live'))
  })

  await t.test('is the same in quotes and without', async () => {
    const first = await ada.send('grace', 'Quoted', '"key-2"')

    assertReplayOf(first, await ada.send('grace', 'Quoted', 'key-2'))
  })

  await t.test('may have 255 characters, each of which counts', async () => {
    const key = 'k'.repeat(255)
    const first = await ada.send('grace', 'Long', key)

    assertReplayOf(first, await ada.send('grace', 'Long', `"${key}"`))
    assert.equal(isReplay(await ada.send('grace', 'Long', `${key.slice(1)}K`)), false)
  })

  await t.test('is refused with 422 for another recipient or another body', async () => {
    const first = await ada.send('grace', 'One message', 'key-3')
    await client.register('edith')
    const before = await stored(server.database)

    for (const [to, body] of [
      ['edith', 'One message'],
      ['nobody', 'One message'],
      ['grace', 'Another message'],
      ['grace', 'One message '],
    ] as const) {
      const refused = await ada.send(to, body, 'key-3')
      assert.deepEqual([refused.status, refused.body.code], [422, 'idempotency_key_reused'], `${to}: ${body}`)
    }

    assert.deepEqual(await stored(server.database), before)
    assertReplayOf(first, await ada.send('grace', 'One message', 'key-3'))
  })

  await t.test('is refused if only the border between recipient and body has moved', async () => {
    await client.register('edi')
    await ada.send('edi', 'thx', 'key-4')

    assert.equal((await ada.send('edith', 'x', 'key-4')).status, 422)
  })

  await t.test('belongs to its sender: another account may use the same', async () => {
    const alan = await client.enter('alan')
    const first = await ada.send('edith', 'From one', 'shared')

    const other = await alan.send('edith', 'From one', 'shared')

    assert.deepEqual([other.status, isReplay(other)], [201, false])
    assert.notEqual(other.body.id, first.body.id)
    assert.equal((await alan.send('edith', 'From another', 'shared')).status, 422)
  })

  await t.test('stores one message when both requests arrive at once', async () => {
    await client.register('joan')
    const keys = range(1, 100).map(() => randomUUID())

    const pairs = await Promise.all(
      keys.map((key) => Promise.all([ada.send('joan', key, key), ada.send('joan', key, key)])),
    )

    for (const [one, other] of pairs) {
      assert.deepEqual([one.status, other.status], [201, 201])
      assert.deepEqual(one.body, other.body)
      assert.deepEqual([isReplay(one), isReplay(other)].sort(), [false, true])
    }
    assert.deepEqual((await inboxOf('joan')).map(({ body }) => body).sort(), keys.sort())
    assert.deepEqual(seqsOf((await client.login('joan')).body.offlineMessages), range(1, 100))
  })

  await t.test('stores one message when two different ones arrive at once', async () => {
    await client.register('mary')
    const pairs = await Promise.all(
      range(1, 50).map((i) =>
        Promise.all([ada.send('mary', 'this', `pair-${i}`), ada.send('mary', 'that', `pair-${i}`)]),
      ),
    )

    for (const pair of pairs) assert.deepEqual(pair.map(({ status }) => status).sort(), [201, 422])
    assert.equal((await inboxOf('mary')).length, 50)
  })

  await t.test('is free again after a recipient was not found', async () => {
    assert.equal((await ada.send('newcomer', 'Welcome', 'key-5')).status, 404)
    await client.register('newcomer')

    const sent = await ada.send('newcomer', 'Welcome', 'key-5')

    assert.deepEqual([sent.status, isReplay(sent)], [201, false])
  })

  await t.test('still gives the first answer when the recipient has deleted the account', async () => {
    const zoe = await client.join('zoe')
    const first = await ada.send('zoe', 'Hello', 'key-6')
    await zoe.request('POST', '/v1/me/delete', { body: { password: 'the password of zoe' } })

    assertReplayOf(first, await ada.send('zoe', 'Hello', 'key-6'))
  })

  await t.test('is valid after a restart', async (t) => {
    const first = await ada.send('edith', 'Before the restart', 'key-7')
    await server.stop()

    const restarted = new Client(await startServer(t, {}, server.database))
    const adaAgain = new Person(restarted, 'ada', ada.token, ada.cursor)

    assertReplayOf(first, await adaAgain.send('edith', 'Before the restart', 'key-7'))
    assert.equal((await adaAgain.send('edith', 'Another one', 'key-7')).status, 422)
  })
})

test('a key is free again after an inbox was full', async (t) => {
  const client = new Client(await startServer(t, { INBOX_LIMIT: '1' }))
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]
  await ada.send('grace', 'The one that has room')
  assert.equal((await ada.send('grace', 'No room', 'key')).status, 409)

  await grace.acknowledge(1)

  const sent = await ada.send('grace', 'No room', 'key')
  assert.deepEqual([sent.status, isReplay(sent)], [201, false])
  // The inbox is full again, which does not affect a replay.
  assertReplayOf(sent, await ada.send('grace', 'No room', 'key'))
})

test('a key is forgotten after IDEMPOTENCY_TTL, and can then be used for another message', async (t) => {
  const server = await startServer(t, { IDEMPOTENCY_TTL: '1s' })
  const client = new Client(server)
  const [ada] = [await client.join('ada'), await client.register('grace')]
  const first = await ada.send('grace', 'Hello', 'key')
  assertReplayOf(first, await ada.send('grace', 'Hello', 'key'))

  let sent = first
  await eventually('the key is free', async () => {
    sent = await ada.send('grace', 'Something else', 'key')
    return sent.status === 201
  })

  const aged = Date.parse(sent.body.sentAt) - Date.parse(first.body.sentAt)
  assert.ok(aged >= 1_000, `it was forgotten after ${aged} ms`)
  assert.notEqual(sent.body.id, first.body.id)
  assertReplayOf(sent, await ada.send('grace', 'Something else', 'key'))
  assert.equal((await stored(server.database))['idempotency_key']?.length, 1)
})
