import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Append, type Message, PAGE_BYTES_MAX, pageOf } from '../src/database/database.ts'
import { openStore } from '../src/database/sqlite/store.ts'
import { messageId } from '../src/inbox/message-id.ts'
import { range, seqsOf } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'

const YEAR_10000_MS = Date.UTC(10_000, 0)

test('a page of the store', async (t) => {
  const { verbs: store } = await openStore(join(scratchFolder(t), 'pages.db'), {
    inboxLimit: 1e6,
    idempotencyTtlMs: 1,
  })
  t.after(() => store.close())
  const write = async (to: string, contents: { body: string; sentAtMs: number }[]): Promise<number> => {
    await store.createAccount({ username: to, displayName: to, passwordHash: '', createdAtMs: 0 })
    const { id = 0 } = (await store.findAccount(to)) ?? {}
    const appends = contents.map(
      ({ body, sentAtMs }): Append => ({
        ...{ senderId: id, from: to, to, body, sentAtMs, live: false, idempotency: undefined },
        id: messageId(sentAtMs),
      }),
    )
    written.set(id, appends)
    await store.commit({ acknowledgements: [], sightings: [], appends })
    return id
  }
  const written = new Map<number, Append[]>()
  const read = async (id: number, after: number) => {
    const { elements, lastSeq } = (await store.readInbox(id, after, 500)).messages
    return { elements, lastSeq, messages: JSON.parse(`[${elements}]`) as Message[] }
  }

  await t.test('is the text that the same messages make in memory, to the millisecond', async () => {
    const millisecondsOfManySeconds = range(0, 999).map((millisecond) => ({
      body: `${millisecond}`,
      sentAtMs: Math.floor((YEAR_10000_MS / 1_000_000) * millisecond) * 1_000 + millisecond,
    }))
    const id = await write('clock', millisecondsOfManySeconds)

    const pages = [await read(id, 0), await read(id, 500)]

    const fromMemory = (written.get(id) ?? []).map(({ id, from, body, sentAtMs }, index): string =>
      JSON.stringify({ seq: index + 1, id, from, body, sentAt: new Date(sentAtMs).toISOString() }),
    )
    assert.deepEqual(
      pages.map(({ elements, lastSeq }) => ({ elements, lastSeq })),
      [pageOf(fromMemory.slice(0, 500)), pageOf(fromMemory.slice(500))],
    )
  })

  await t.test('names the sender of each message', async () => {
    const senders = range(1, 1_000).map((number) => `sender-${number}`)
    const reader = await write('popular', [])
    const appends = senders.map(
      (from): Append => ({
        ...{ senderId: reader, from, to: 'popular', body: from, sentAtMs: 0, live: false },
        ...{ idempotency: undefined, id: messageId(0) },
      }),
    )
    await store.commit({ acknowledgements: [], sightings: [], appends })

    const pages = [await read(reader, 0), await read(reader, 500)]

    assert.deepEqual(
      pages.flatMap(({ messages }) => messages.map(({ from }) => from)),
      senders,
    )
  })

  for (const [letters, letter] of [
    ['ASCII', 'a'],
    ['letters of three bytes', '信'],
    ['characters that JSON escapes', '\u0001'],
  ] as const) {
    await t.test(`holds as many messages as fit 1 MiB, and no more, with ${letters}`, async () => {
      const lengths = range(1, 300).map((number) => (number * 7_919) % 16_384)
      const contents = lengths.map((length) => ({ body: letter.repeat(1 + length), sentAtMs: 0 }))
      const id = await write(`reader-of-${letter.codePointAt(0)}`, contents)

      const seen: number[] = []
      while (seen.length < contents.length) {
        const { elements, lastSeq, messages } = await read(id, seen.length)
        seen.push(...seqsOf(messages))
        const [next] = (await read(id, seen.length)).messages
        const bytes = Buffer.byteLength(`[${elements}]`)
        const bytesWithNext = bytes + Buffer.byteLength(`,${JSON.stringify(next)}`)

        assert.ok(bytes <= PAGE_BYTES_MAX, `a page of ${bytes} bytes`)
        assert.ok(!next || bytesWithNext > PAGE_BYTES_MAX, `${bytesWithNext} bytes would have done`)
        assert.equal(lastSeq, seen.length)
      }
      assert.deepEqual(seen, range(1, contents.length))
    })
  }

  await t.test('holds one message at least, however long it is', async () => {
    const id = await write('patient', [
      { body: 'long'.repeat(PAGE_BYTES_MAX), sentAtMs: 0 },
      { body: 'short', sentAtMs: 0 },
    ])

    const pages = [await read(id, 0), await read(id, 1), await read(id, 2)]

    assert.deepEqual(
      pages.map(({ lastSeq, messages }) => [lastSeq, seqsOf(messages)]),
      [
        [1, [1]],
        [2, [2]],
        [undefined, []],
      ],
    )
  })
})

test('a page may have 1 MiB to the byte', () => {
  const messageOf = (seq: number, bytes: number) => `{"seq":${seq}}`.padEnd(bytes)
  const half = PAGE_BYTES_MAX / 2

  // Around them stand two brackets, between them a comma.
  const full = pageOf([messageOf(1, half), messageOf(2, half - 3)])
  const tooLong = pageOf([messageOf(1, half), messageOf(2, half - 2)])

  assert.deepEqual([full.lastSeq, Buffer.byteLength(`[${full.elements}]`)], [2, PAGE_BYTES_MAX])
  assert.equal(tooLong.lastSeq, 1)
})
