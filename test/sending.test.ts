import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, range, seqsOf } from './support/client.ts'
import { park } from './support/parked.ts'
import { startServer } from './support/servers.ts'

const UNKNOWN_ID = '01a20779-7500-71c9-b0a4-e83d57f2094b'

/** Texts that careless code would trim, decode, normalise, escape or cut. */
const TEXTS = {
  'one character': 'x',
  'one character outside the basic plane': '🕰',
  'only white space': ' \t\r\n\u00a0\u2028\u2029',
  'line ends of all kinds': 'a\nb\r\nc\rd\n',
  'control characters': '\u0001\u0008\u001b[31m\u007f\u0085',
  'quotes and escapes': `"it's" \\n \\u0041 %41 &amp; <b>\`\${x}\` '; DROP TABLE message; --`,
  'text from right to left with marks': '\u202eשלום\u202c عَرَبِيّ \u200f!',
  'combining marks, not put together': 'e\u0301 A\u030a ﬁ Å',
  'joined emoji': '👩🏽‍🚀 🏳️‍🌈 👨‍👩‍👧‍👦 🇺🇳',
  'byte order marks and noncharacters': '\ufeffa\ufeff \ufffe\uffff\u{10ffff}',
  'replacement characters': '\ufffd',
  'something like JSON': '{"seq": 1, "__proto__": null}',
  'a part of a message as JSON': '","id":"0123456789abcdef0123456789abcdef","sentAt":0}',
  'all characters of one or two bytes': String.fromCodePoint(...range(1, 0x7ff)),
  'something like a number': '1e400',
}

/** The bodies of the messages in an answer. */
const bodiesOf = (messages: unknown[]) => (messages as { body: string }[]).map(({ body }) => body)

test('a message', async (t) => {
  const client = new Client(await startServer(t))
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]

  await t.test('arrives exactly as sent, whatever it contains', async () => {
    for (const text of Object.values(TEXTS)) assert.equal((await ada.send('grace', text)).status, 201, text)

    const { body } = await grace.poll({ wait: 0 })

    assert.deepEqual(bodiesOf(body.messages), Object.values(TEXTS))
  })

  await t.test('does so, too, when it is the whole body of its request', async () => {
    for (const text of Object.values(TEXTS))
      assert.equal((await client.sendText(ada.token, 'grace', text)).status, 201, text)

    const { body } = await grace.poll({ after: Object.keys(TEXTS).length, wait: 0 })

    assert.deepEqual(bodiesOf(body.messages), Object.values(TEXTS))
    await grace.acknowledge(body.cursor)
  })

  await t.test('is the same from memory, from the store and from a login', async (t) => {
    const alan = await client.join('alan')
    const fromMemory: unknown[] = []
    for (const text of Object.values(TEXTS)) {
      const parked = await park(t, alan, `after=${fromMemory.length}`)
      assert.equal((await ada.send('alan', text)).status, 201)
      fromMemory.push(...(await parked.answer()).body.messages)
    }
    await client.register('joan')
    for (const text of Object.values(TEXTS)) await ada.send('joan', text)

    const fromStore = await alan.poll({ after: 0, wait: 0 })
    const { offlineMessages } = (await client.login('joan')).body

    assert.deepEqual(bodiesOf(fromMemory), Object.values(TEXTS))
    assert.deepEqual(fromStore.body.messages, fromMemory)
    assert.deepEqual(bodiesOf(offlineMessages), Object.values(TEXTS))
  })

  await t.test('may have 16384 characters, of four bytes each or written as escapes', async () => {
    const bookworm = await client.join('bookworm')
    const text = '🕰'.repeat(16_384)
    const escaped = `{"to":"bookworm","body":"${'\\ud83d\\udd70'.repeat(16_384)}"}`

    const answers = [
      await ada.send('bookworm', text),
      await ada.request('POST', '/v1/messages', { body: escaped }),
    ]

    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201],
    )
    const { body } = await bookworm.poll({ wait: 0 })
    for (const message of body.messages) assert.ok(message.body === text, 'it was altered')
    assert.equal(body.messages.length, 2)
  })

  await t.test('may go to oneself', async () => {
    const selfish = await client.join('selfish')
    await selfish.send('Selfish', 'Do not forget the moth.')

    const { body } = await selfish.poll({ wait: 0 })

    assert.deepEqual([body.messages[0].from, body.messages[0].body], ['selfish', 'Do not forget the moth.'])
  })

  await t.test('has the sender of its token, and nothing in the request can change it', async () => {
    const forged = await ada.request('POST', '/v1/messages', {
      body: { to: 'grace', body: 'Believe me', from: 'alan' },
    })

    assert.deepEqual([forged.status, forged.body.errors[0].pointer], [400, '/from'])
  })
})

test('the state of a message', async (t) => {
  const client = new Client(await startServer(t))
  const [ada, grace, eve] = [await client.join('ada'), await client.join('grace'), await client.join('eve')]
  const sent = await ada.send('grace', 'I found a moth.')
  const { id, sentAt } = sent.body

  await t.test('is "stored" until the recipient acknowledges it, then "delivered", to both', async () => {
    const stored = { id, from: 'ada', to: 'grace', sentAt, state: 'stored' }
    await grace.poll({ wait: 0 })
    for (const person of [ada, grace]) assert.deepEqual((await person.status(id)).body, stored)

    await grace.acknowledge(1)

    for (const person of [ada, grace])
      assert.deepEqual((await person.status(id)).body, { ...stored, state: 'delivered' })
  })

  await t.test('is "delivered" as soon as the next poll has sent the cursor', async () => {
    const { body } = await ada.send('grace', 'And another.')
    assert.equal((await grace.poll({ after: 1, wait: 0 })).body.cursor, 2)
    assert.equal((await ada.status(body.id)).body.state, 'stored')

    await grace.poll({ after: 2, wait: 0 })

    assert.equal((await ada.status(body.id)).body.state, 'delivered')
  })

  await t.test('is found at the Location of the answer to the sender, in any case', async () => {
    assert.equal(sent.headers.get('location'), `/v1/messages/${id}`)
    assert.deepEqual((await ada.status(id.toUpperCase())).body, (await ada.status(id)).body)
  })

  await t.test('is hidden from all others: the response is that of a message that never was', async () => {
    const [strange, unknown] = [await eve.status(id), await eve.status(UNKNOWN_ID)]

    assert.deepEqual([strange.status, strange.body.code], [404, 'not_found'])
    assert.deepEqual(strange.body, unknown.body)
  })
})

test('an inbox with INBOX_LIMIT=3', async (t) => {
  const client = new Client(await startServer(t, { INBOX_LIMIT: '3' }))
  const [ada, grace] = [await client.join('ada'), await client.join('grace')]
  const isFull = async () => {
    const { status, body } = await ada.send('grace', 'One too many')
    return status === 409 && body.code === 'inbox_full'
  }

  await t.test('accepts three of many concurrent messages', async () => {
    const answers = await Promise.all(range(1, 10).map((i) => ada.send('grace', `message ${i}`)))

    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 201, ...Array(7).fill(409)])
    assert.ok(await isFull())
  })

  await t.test('has no more room when messages were only read', async () => {
    assert.deepEqual(seqsOf((await grace.poll({ wait: 0 })).body.messages), [1, 2, 3])

    assert.ok(await isFull())
  })

  await t.test('has room for as many as were acknowledged, by a call or by a poll', async () => {
    await grace.acknowledge(1)
    assert.equal((await ada.send('grace', 'fits')).status, 201)
    assert.ok(await isFull())

    await grace.poll({ after: 3, wait: 0 })
    assert.equal((await ada.send('grace', 'fits')).status, 201)
    assert.equal((await ada.send('grace', 'fits')).status, 201)
    assert.ok(await isFull())
  })

  await t.test('uses no numbers for refused messages', async () => {
    assert.deepEqual(seqsOf((await grace.poll({ after: 3, wait: 0 })).body.messages), [4, 5, 6])
  })

  await t.test('is full for only one recipient', async () => {
    assert.equal((await ada.send('ada', 'To myself')).status, 201)
  })
})

test('an inbox with SENDER_LIMIT=3 and INBOX_BYTES=1000', async (t) => {
  const client = new Client(await startServer(t, { SENDER_LIMIT: '3', INBOX_BYTES: '1000' }))
  const [ada, bob, grace] = [await client.join('ada'), await client.join('bob'), await client.join('grace')]
  const codeOf = async (sending: Promise<{ status: number; body: { code?: string } }>) => {
    const { status, body } = await sending
    return body.code ?? status
  }

  await t.test(
    'accepts three of many concurrent messages of one sender, and further ones of others',
    async () => {
      const answers = await Promise.all(range(1, 10).map((i) => ada.send('grace', `message ${i}`)))

      assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 201, 201, ...Array(7).fill(409)])
      assert.equal(await codeOf(ada.send('grace', 'One too many')), 'too_many_unread')
      assert.equal(await codeOf(bob.send('grace', 'Another one')), 201)
    },
  )

  await t.test(
    'has room for as many messages of a sender as were acknowledged, by a call or by a poll',
    async () => {
      await grace.acknowledge(1)
      assert.equal(await codeOf(ada.send('grace', 'fits')), 201)
      assert.equal(await codeOf(ada.send('grace', 'One too many')), 'too_many_unread')

      await grace.poll({ after: 3, wait: 0 })
      assert.deepEqual(
        [await codeOf(ada.send('grace', 'fits')), await codeOf(ada.send('grace', 'fits'))],
        [201, 201],
      )
      assert.equal(await codeOf(ada.send('grace', 'One too many')), 'too_many_unread')
      await grace.poll({ after: 7, wait: 0 })
    },
  )

  await t.test('accepts 1 000 bytes, counted in UTF-8, also of concurrent messages', async () => {
    assert.equal(await codeOf(bob.send('grace', 'x'.repeat(700))), 201)
    const answers = await Promise.all(
      [ada, bob, grace].map((sender) => sender.send('grace', '€'.repeat(100))),
    )

    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409])
    assert.equal(await codeOf(ada.send('grace', 'x')), 'inbox_full')
  })

  await t.test('gives the first answer again to a repeat, even if it is full', async () => {
    await grace.poll({ after: 9, wait: 0 })
    const first = await ada.send('grace', 'x'.repeat(1_000), 'a-key')
    assert.equal(await codeOf(ada.send('grace', 'x')), 'inbox_full')

    assert.deepEqual((await ada.send('grace', 'x'.repeat(1_000), 'a-key')).body, first.body)
  })

  await t.test('accepts a message of any size when nothing is unread', async () => {
    await grace.poll({ after: 10, wait: 0 })

    assert.equal(await codeOf(ada.send('grace', 'x'.repeat(5_000))), 201)
    assert.equal(await codeOf(ada.send('grace', 'x')), 'inbox_full')
  })
})
