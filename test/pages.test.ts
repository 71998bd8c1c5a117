/** The contents of a page of an inbox, which the store returns unchanged. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Entry, NewMessage } from '../src/database/database.ts'
import { unpack } from '../src/database/sqlite/packed-page.ts'
import { openReader } from '../src/database/sqlite/reader.ts'
import { openWriter } from '../src/database/sqlite/writer.ts'
import { toInboxPage } from '../src/inbox/inbox-page.ts'
import { messageId } from '../src/message-id.ts'
import { LIST_BYTES_MAX, lastSeqOf, toMessageList } from '../src/message-list.ts'
import { messagesIn, range, seqsOf } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'

const YEAR_10000_MS = Date.UTC(10_000, 0)

const SENDERS = 30

describe('the store', () => {
  it('returns each message as it was sent, to the millisecond, with its sender', async (t) => {
    const { write, read } = await openInbox(t)
    const sent = range(0, 999).map((number) => ({
      from: `sender-${number % SENDERS}`,
      body: `${number} 🎈`,
      sentAtMs: Math.floor((YEAR_10000_MS / 1_000_000) * number) * 1_000 + number,
    }))
    const ids = await write(sent)

    const pages = [await read(0, 500), await read(500, 500)]

    assert.deepEqual(
      pages.flatMap(({ messages }) => messagesIn(messages)),
      sent.map(({ sentAtMs, ...message }, at) => {
        const sentAt = new Date(sentAtMs).toISOString()
        return { seq: at + 1, id: ids[at], ...message, sentAt }
      }),
    )
    assert.deepEqual([pages[0]?.newestSeq, pages[1]?.after], [1_000, 500])
  })

  it('returns long messages unchanged, too, as bytes that are ready to be sent', async (t) => {
    const { write, read } = await openInbox(t)
    const bodies = ['"\\\u0001\u2028', '信', '🎈', 'x'].map((text) => text.repeat(8_192))
    await write(bodies.map((body) => ({ from: 'sender-1', body, sentAtMs: 0 })))

    const { messages } = await read(0, 500)

    assert.ok(messages.json instanceof Uint8Array)
    assert.deepEqual(
      messagesIn(messages).map(({ seq, body }) => [seq, body]),
      bodies.map((body, at) => [at + 1, body]),
    )
  })

  it('stops reading where a page is full', async (t) => {
    const { write, read } = await openInbox(t)
    const bytes = 3 * 16_384
    await write(range(1, 10).map(() => ({ from: 'sender-1', body: '信'.repeat(16_384), sentAtMs: 0 })))

    const { messages } = await read(0, 500, 4 * bytes + 1)

    assert.equal(messages.count, 5)
  })
})

describe('a page', () => {
  for (const [letters, letter] of [
    ['ASCII', 'a'],
    ['letters of three bytes', '信'],
    ['characters that JSON escapes', '\u0001'],
  ] as const) {
    it(`holds as many messages as fit 1 MiB, and no more, with ${letters}`, () => {
      const inbox = range(1, 300).map((seq) => message(seq, letter.repeat(1 + ((seq * 7_919) % 16_384))))
      const seen: number[] = []
      while (seen.length < inbox.length) {
        const list = toMessageList(inbox.slice(seen.length))
        seen.push(...seqsOf(messagesIn(list)))
        const bytes = Buffer.byteLength(list.json)
        const next = inbox[seen.length]
        const bytesWithNext = bytes + (next ? Buffer.byteLength(toMessageList([next]).json) - 1 : 0)

        assert.ok(bytes <= LIST_BYTES_MAX, `a page of ${bytes} bytes`)
        assert.ok(!next || bytesWithNext > LIST_BYTES_MAX, `${bytesWithNext} bytes would have done`)
        assert.equal(lastSeqOf(list), seen.length)
      }
      assert.deepEqual(seen, range(1, inbox.length))
    })
  }

  it('may have exactly 1 MiB', () => {
    const fixed = Buffer.byteLength(toMessageList([message(1, '')]).json) - '[]'.length
    const ofLength = (seq: number, bytes: number) => message(seq, 'x'.repeat(bytes - fixed))
    const half = LIST_BYTES_MAX / 2

    // Two brackets around them, and commas between them.
    const full = toMessageList([ofLength(1, half), ofLength(2, half - 3)])
    const tooLong = toMessageList([ofLength(1, half), ofLength(2, half - 2)])

    assert.deepEqual([lastSeqOf(full), Buffer.byteLength(full.json)], [2, LIST_BYTES_MAX])
    assert.equal(tooLong.count, 1)
  })

  it('holds at least one message, however long', () => {
    const inbox = [message(1, 'long'.repeat(LIST_BYTES_MAX)), message(2, 'short')]

    assert.deepEqual(
      [toMessageList(inbox), toMessageList(inbox.slice(1)), toMessageList([])].map(lastSeqOf),
      [1, 2, undefined],
    )
  })
})

describe('a missing number', () => {
  const read = (after: number, seqs: number[], newestSeq: number, restoredFrom?: number) => {
    const messages = toMessageList(seqs.map((seq) => message(seq, 'text')))
    const { messages: list, ...rest } = toInboxPage({ after, messages, newestSeq, restoredFrom })
    return { ...rest, seqs: seqsOf(messagesIn(list)) }
  }

  it('is reported in a gap before the messages', () => {
    assert.deepEqual(read(2, [5, 6], 6), {
      seqs: [5, 6],
      cursor: 6,
      hasMore: false,
      gap: { from: 3, to: 4, reason: 'purged' },
    })
  })

  it('among the messages ends the page before it, and the next page begins with the gap', () => {
    assert.deepEqual(read(2, [3, 4, 1_005], 1_005, 5), {
      seqs: [3, 4],
      cursor: 4,
      hasMore: true,
      gap: undefined,
    })
    assert.deepEqual(read(4, [1_005], 1_005, 5), {
      seqs: [1_005],
      cursor: 1_005,
      hasMore: false,
      gap: { from: 5, to: 1_004, reason: 'restored' },
    })
  })

  it('is reported alone when there is no message after it', () => {
    assert.deepEqual(read(4, [], 1_004, 5), {
      seqs: [],
      cursor: 1_004,
      hasMore: false,
      gap: { from: 5, to: 1_004, reason: 'restored' },
    })
  })

  it('is reported as restored if a part of the range was skipped at a restore, otherwise as purged', () => {
    assert.equal(read(2, [1_005], 1_005, 500).gap?.reason, 'restored')
    assert.equal(read(2, [4], 1_005, 500).gap?.reason, 'purged')
  })
})

const message = (seq: number, body: string): Entry => ({
  ...{ seq, body, from: 'ada', sentAtMs: 0 },
  id: '01a20779-7500-71c9-b0a4-e83d57f2094b',
})

/** An inbox with 1 000 senders. */
async function openInbox(t: TestContext) {
  const path = join(scratchFolder(t), 'pages.db')
  const writer = await openWriter(path, { inboxLimit: 1e6, inboxBytes: 1e9, senderLimit: 1e6 })
  const reader = openReader(path)
  atTheEnd(t, async () => {
    await reader.verbs.close()
    await writer.verbs.close()
  })
  const account = (username: string) => ({ username, displayName: '', passwordHash: '', createdAtMs: 0 })
  await writer.verbs.createAccount(account('reader'))
  for (const number of range(0, SENDERS - 1)) await writer.verbs.createAccount(account(`sender-${number}`))
  const idOf = async (username: string) => (await reader.verbs.findAccount(username))?.id ?? 0
  const accountId = await idOf('reader')

  return {
    /** Resolves with the ids. */
    write: async (contents: Pick<NewMessage, 'from' | 'body' | 'sentAtMs'>[]) => {
      const appends: NewMessage[] = []
      for (const content of contents)
        appends.push({
          ...content,
          senderId: await idOf(content.from),
          to: 'reader',
          id: messageId(content.sentAtMs),
          live: false,
          wantsReceipt: false,
          idempotency: undefined,
        })
      await writer.verbs.commit({ acknowledgements: [], lastSeen: [], appends })
      return appends.map(({ id }) => id)
    },
    read: async (after: number, limit: number, bytes = LIST_BYTES_MAX) =>
      unpack(await reader.verbs.readInbox(accountId, after, { messages: limit, bytes })),
  }
}
