/** Receipts: an entry in the sender's own inbox reports that a message was acknowledged. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  adaAndBob,
  type Client,
  type Message,
  newName,
  type Person,
  passwordOf,
  range,
} from './support/client.ts'
import { park } from './support/parked.ts'
import { sendWithReceipt } from './support/receipts.ts'
import { shareServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const INBOX_LIMIT = 5
const server = shareServer({ SESSION_POLICY: 'multi', INBOX_LIMIT: String(INBOX_LIMIT) })

/** The entries of an inbox after a number, after all acknowledgements are in the store. */
async function entriesOf(person: Person, after = 0): Promise<Message[]> {
  // Acknowledgements by polls may be deferred on SQLite; the state of a message waits for them.
  await person.status('01a20779-7500-71c9-b0a4-e83d57f2094b')
  return (await person.poll({ after, wait: 0 })).body.messages
}

const receiptsOf = async (person: Person) => (await entriesOf(person)).map(({ receiptFor }) => receiptFor)

describe('a message that asks for a receipt', () => {
  it('wakes the poll of its sender when it is acknowledged, with one entry that names it', async (t) => {
    const { ada, bob } = await adaAndBob(await server())
    const { id } = (await sendWithReceipt(bob, ada, 'Did you get this?')).body
    const poll = await park(t, bob, 'after=0')

    await ada.acknowledge(1)

    const { messages, cursor } = (await poll.answer()).body
    assert.equal(messages.length, 1)
    const { id: own, sentAt, ...receipt } = messages[0]
    assert.deepEqual(receipt, { seq: 1, from: ada.username, body: '', receiptFor: [id] })
    assert.notEqual(own, id)
    assert.ok(Math.abs(Date.parse(sentAt) - Date.now()) < 60_000)
    assert.equal(cursor, 1)
    // The same from the store.
    assert.deepEqual((await bob.poll({ after: 0, wait: 0 })).body.messages, messages)
  })

  it('is like any other to its recipient, and other messages bring no receipt', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const { id, sentAt } = (await sendWithReceipt(bob, ada, 'with')).body
    await bob.send(ada, 'without')

    const [first] = (await ada.poll({ after: 0, wait: 0 })).body.messages

    assert.deepEqual(first, { seq: 1, id, from: bob.username, body: 'with', sentAt })
    await ada.acknowledge(2)
    assert.deepEqual(await receiptsOf(bob), [[id]])
  })

  it('shares its receipt with the other messages of the acknowledgement, in order; none comes twice', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const ids: string[] = []
    for (const body of ['1', '2', '3']) ids.push((await sendWithReceipt(bob, ada, body)).body.id)

    await ada.acknowledge(2)
    for (const cursor of [1, 2, 3, 3]) await ada.acknowledge(cursor)

    assert.deepEqual(await receiptsOf(bob), [ids.slice(0, 2), ids.slice(2)])
    // Receipts ask for no receipts.
    await bob.acknowledge(2)
    assert.equal((await entriesOf(ada)).length, 3)
  })

  it('may go to oneself', async () => {
    const { ada } = await adaAndBob(await server())
    const { id } = (await sendWithReceipt(ada, ada, 'a note')).body

    await ada.acknowledge(1)

    assert.deepEqual(await receiptsOf(ada), [undefined, [id]])
  })

  const ways: [name: string, acknowledge: (client: Client, ada: Person) => Promise<unknown>][] = [
    ['a poll after it', async (_, ada) => ada.poll({ after: 1, wait: 0 })],
    [
      'the first poll after the login that returned it',
      async (client, ada) => {
        const again = await client.enter(ada.username)
        return again.poll({ wait: 0 })
      },
    ],
    [
      'the logout of the session that got it',
      async (client, ada) => (await client.enter(ada.username)).logout(),
    ],
  ]
  for (const [name, acknowledge] of ways)
    it(`brings its receipt when ${name} acknowledges it`, async () => {
      const { client, ada, bob } = await adaAndBob(await server())
      const { id } = (await sendWithReceipt(bob, ada, 'hello')).body
      assert.deepEqual(await receiptsOf(bob), [])

      await acknowledge(client, ada)

      assert.deepEqual(await receiptsOf(bob), [[id]])
    })

  it('brings its receipt with the first session that acknowledges it, and with no other', async () => {
    const { client, ada: phone, bob } = await adaAndBob(await server())
    const laptop = await client.enter(phone.username)
    const { id } = (await sendWithReceipt(bob, phone, 'hello')).body

    await laptop.acknowledge(1)
    await phone.acknowledge(1)

    assert.deepEqual(await receiptsOf(bob), [[id]])
  })

  it('brings a receipt to each sender, except one that blocks the reader, is blocked, or is deleted', async () => {
    const { url, database } = await server()
    const { client, ada, bob } = await adaAndBob({ url })
    const [cleo, dora, erik] = (await Promise.all(
      ['cleo', 'dora', 'erik'].map((name) => client.join(newName(name))),
    )) as [Person, Person, Person]
    const { id: first } = (await sendWithReceipt(bob, ada, 'hello')).body
    for (const sender of [cleo, dora, erik]) await sendWithReceipt(sender, ada, 'hello')
    const { id: second } = (await sendWithReceipt(bob, ada, 'hello again')).body
    await ada.block(cleo)
    await dora.block(ada)
    await erik.request('POST', '/v1/me/delete', { body: { password: passwordOf(erik.username) } })

    await ada.acknowledge(5)

    assert.deepEqual(await receiptsOf(bob), [[first, second]])
    assert.deepEqual([await receiptsOf(cleo), await receiptsOf(dora)], [[], []])
    const ofErik = `
      SELECT id FROM account WHERE username = ? AND (
        purged_seq > 0 OR EXISTS (SELECT 1 FROM message WHERE recipient_id = account.id))`
    assert.deepEqual(await withSql(database, ({ run }) => run(ofErik, erik.username)), [])
    // It does not come again later.
    await ada.unblock(cleo)
    await ada.acknowledge(5)
    assert.deepEqual(await receiptsOf(cleo), [])
  })

  it('is not the same message as one without: its Idempotency-Key is refused', async () => {
    const { ada, bob } = await adaAndBob(await server())
    const first = await sendWithReceipt(bob, ada, 'hello', 'key')

    assert.equal((await bob.send(ada, 'hello', 'key')).body.code, 'idempotency_key_reused')
    const again = await sendWithReceipt(bob, ada, 'hello', 'key')
    assert.deepEqual([again.status, again.body], [201, first.body])

    await ada.acknowledge(1)
    assert.deepEqual(await receiptsOf(bob), [[first.body.id]])
  })
})

describe('receipts and the limits of an inbox', () => {
  it('a full inbox takes them, and they leave room for as many messages as before', async () => {
    const { ada, bob } = await adaAndBob(await server())
    for (const seq of range(1, 3)) {
      await sendWithReceipt(bob, ada, 'hello')
      await ada.acknowledge(seq)
    }
    assert.equal((await entriesOf(bob)).length, 3)

    for (const _ of range(1, INBOX_LIMIT)) assert.equal((await ada.send(bob, 'text')).status, 201)
    assert.equal((await ada.send(bob, 'one too many')).body.code, 'inbox_full')
    const { id } = (await sendWithReceipt(bob, ada, 'hello')).body
    await ada.acknowledge(4)

    assert.deepEqual((await entriesOf(bob)).at(-1)?.receiptFor, [id])
  })

  it('while it has as many unread receipts as it holds messages, its owner may not ask for more', async () => {
    const { ada, bob } = await adaAndBob(await server())
    for (const seq of range(1, INBOX_LIMIT)) {
      assert.equal((await sendWithReceipt(bob, ada, 'hello')).status, 201)
      await ada.acknowledge(seq)
    }

    const { status, body } = await sendWithReceipt(bob, ada, 'hello')
    assert.deepEqual([status, body.code], [409, 'inbox_full'])
    assert.match(body.detail, /^Your own inbox/)
    assert.equal((await bob.send(ada, 'hello')).status, 201)

    await bob.poll({ after: 1, wait: 0 })
    assert.equal((await sendWithReceipt(bob, ada, 'hello')).status, 201)
  })
})
