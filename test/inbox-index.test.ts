/**
 * Entries of messages wait in memory, and are written many at a time. Whatever happens in between, each
 * message is found by its recipient and number.
 */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import SqliteFile from 'better-sqlite3'
import type { Append, Message } from '../src/database/database.ts'
import { migrate } from '../src/database/migrate.ts'
import { SqliteAdapter } from '../src/database/sqlite/adapter.ts'
import { openStatements } from '../src/database/sqlite/connection.ts'
import { openInboxIndex } from '../src/database/sqlite/inbox-index.ts'
import { inboxVerbs } from '../src/database/sqlite/inbox-verbs.ts'
import { purgeVerb } from '../src/database/sqlite/purge.ts'
import { Recipients } from '../src/database/sqlite/recipients.ts'
import { messageId } from '../src/inbox/message-id.ts'
import { range, seqsOf } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'
import { randomFrom } from './support/random.ts'

/** So few entries wait that some are written all the time. */
const WAITING_MAX = 300

const SEED = 20_261_125

const NAMES = range(1, 40).map((number) => `account-${number}`)

describe('the index of inboxes', () => {
  it('has every message, whatever was written, purged, rolled back and lost in between', async (t) => {
    const store = await open(t)
    const random = randomFrom(SEED)
    const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
    const expected = new Map(NAMES.map((name) => [name, { newest: 0, purged: 0 }]))
    const check = async () => {
      for (const [name, { newest, purged }] of expected)
        assert.deepEqual(await store.seqsOf(name), range(purged + 1, newest), name)
      assert.equal(store.waiting() + store.written(), store.messages())
    }

    for (let step = 0; step < 300; step += 1) {
      const deed = integer(0, 9)
      const to = range(1, integer(1, 64)).map(() => NAMES[integer(0, NAMES.length - 1)] as string)
      if (deed <= 5) {
        await store.send(to)
        for (const name of to) (expected.get(name) as { newest: number }).newest += 1
      } else if (deed === 6) await assert.rejects(store.sendAndFail(to))
      else if (deed === 7) {
        const read = new Set(to.slice(0, 10))
        for (const name of read) await store.acknowledge(name, expected.get(name)?.newest ?? 0)
        await store.purge()
        for (const name of read) {
          const inbox = expected.get(name)
          if (inbox) inbox.purged = inbox.newest
        }
      } else if (deed === 8) store.crash()
      else store.restart()
      if (step % 10 === 0) await check()
    }
    await check()
  })

  it('keeps no more waiting than it may', async (t) => {
    const store = await open(t)

    for (let batch = 0; batch < 100; batch += 1) {
      await store.send(range(1, 32).map((number) => NAMES[(7 * batch + number) % NAMES.length] as string))

      // Those of the batch come behind.
      assert.ok(store.waiting() <= WAITING_MAX + 32, `${store.waiting()} wait`)
    }
    assert.equal(store.waiting() + store.written(), 3_200)
  })

  it('looks at a start for no more than what may be missing', async (t) => {
    const store = await open(t)
    for (let batch = 0; batch < 100; batch += 1) await store.send(NAMES)

    // A round begins with those that waited when the last one ended, and meanwhile as many come.
    assert.ok(store.position() >= 4_000 - 3 * WAITING_MAX, `from ${store.position()} on`)
    store.restart()
    assert.deepEqual([store.waiting(), store.written(), store.position()], [0, 4_000, 4_000])
  })

  it('finds what came after everything was purged and the process died', async (t) => {
    const store = await open(t)
    await store.send(['account-1', 'account-1', 'account-2'])
    store.restart()
    await store.acknowledge('account-1', 2)
    await store.acknowledge('account-2', 1)
    await store.purge()
    store.restart()

    await store.send(['account-1', 'account-2'])
    store.crash()

    assert.deepEqual([await store.seqsOf('account-1'), await store.seqsOf('account-2')], [[3], [2]])
  })

  it('is filled at the start where messages were written past the server', async (t) => {
    const store = await open(t)
    store.writePast('account-7', 1_000)

    store.crash()

    assert.deepEqual(await store.seqsOf('account-7'), range(1, 1_000))
    assert.ok(store.waiting() <= WAITING_MAX)
  })
})

/** A store whose process can die: what is in memory is lost then, and what is committed is not. */
async function open(t: TestContext) {
  const path = join(scratchFolder(t), 'index.db')
  await migrate(new SqliteAdapter(path))
  const seed = new SqliteFile(path)
  const insertAccount = seed.prepare(
    "INSERT INTO account (username, display_name, password_hash, created_at) VALUES (?, '', '', 0)",
  )
  for (const name of NAMES) insertAccount.run(name)
  seed.close()

  let now = openParts(path)
  atTheEnd(t, () => now.connection.close())
  const value = (sql: string, ...params: unknown[]) =>
    now.connection
      .prepare(sql)
      .pluck()
      .get(...params) as number
  const idOf = (name: string) => value('SELECT id FROM account WHERE username = ?', name)

  const appendsTo = (names: string[]) => {
    return names.map(
      (to): Append => ({
        ...{ senderId: 1, from: 'account-1', to, body: to, sentAtMs: 1, live: false, idempotency: undefined },
        id: messageId(1),
      }),
    )
  }
  const commit = (appends: Append[]) => now.inbox.commit({ acknowledgements: [], sightings: [], appends })

  return {
    send: (names: string[]) => commit(appendsTo(names)),
    /** By a last message that has the id of the first. */
    sendAndFail: (names: string[]) => {
      const appends = appendsTo([...names, 'account-1'])
      return commit(
        appends.map((append, at) => ({ ...append, id: (appends[at % names.length] as Append).id })),
      )
    },
    acknowledge: (name: string, seq: number) =>
      now.inbox.commit({
        acknowledgements: [{ sessionId: '', accountId: idOf(name), seq }],
        sightings: [],
        appends: [],
      }),
    async purge() {
      const limits = { acknowledgedBeforeMs: 2, unacknowledgedBeforeMs: Number.NEGATIVE_INFINITY, nowMs: 2 }
      for (let from: number | undefined = 0; from !== undefined; )
        from = await now.purge({ fromAccountId: from, ...limits })
    },
    crash: () => {
      // As the files are at this moment: who closes a database writes the log back.
      const copy = `${path}.copy`
      for (const suffix of ['', '-wal']) copyFileSync(path + suffix, copy + suffix)
      now.connection.close()
      for (const suffix of ['', '-wal']) copyFileSync(copy + suffix, path + suffix)
      now = openParts(path)
    },
    restart: () => {
      now.connection.transaction(now.index.mergeAll).immediate()
      now.connection.close()
      now = openParts(path)
    },
    /** Page by page, checked to be the messages that were sent there. */
    async seqsOf(name: string): Promise<number[]> {
      const seqs: number[] = []
      for (;;) {
        const { messages } = await now.inbox.readInbox(idOf(name), seqs.at(-1) ?? 0, 100)
        const page = JSON.parse(`[${messages.elements}]`) as Message[]
        for (const message of page) assert.equal(message.body, name)
        seqs.push(...seqsOf(page))
        if (page.length === 0) return seqs
      }
    },
    writePast: (name: string, count: number) => {
      const insert = now.connection.prepare(
        `INSERT INTO message (recipient_id, seq, id, sender_id, json, sent_at)
         VALUES (?, ?, randomblob(16), 1, ?, 0)`,
      )
      for (const seq of range(1, count)) insert.run(idOf(name), seq, JSON.stringify({ seq, body: name }))
    },
    messages: () => value('SELECT count(*) FROM message'),
    waiting: () => value('SELECT count(*) FROM waiting_entry'),
    written: () => value('SELECT count(*) FROM inbox_entry'),
    position: () => value('SELECT position FROM inbox_index'),
  }
}

function openParts(path: string) {
  const connection = openStatements(path)
  const index = openInboxIndex(connection, WAITING_MAX)
  const limits = { inboxLimit: 1e6, idempotencyTtlMs: 1 }
  const inbox = inboxVerbs(connection, index, new Recipients(connection), limits)
  return { connection, index, inbox, ...purgeVerb(connection, index, limits) }
}
