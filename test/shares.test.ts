/** The limits of an inbox, decided by the store: in any batch as if messages came one by one. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext, test } from 'node:test'
import SqliteFile from 'better-sqlite3'
import pg from 'pg'
import {
  type AddedReceipt,
  type AppendOutcome,
  type Batch,
  type Database,
  type NewMessage,
  type Owner,
  RECEIPT_MESSAGES_MAX,
} from '../src/database/database.ts'
import { commitVerb as postgresCommit } from '../src/database/postgres/commit.ts'
import { commitVerb as sqliteCommit } from '../src/database/sqlite/commit.ts'
import { type Recipient, Recipients } from '../src/database/sqlite/recipients.ts'
import { UnreadBySender } from '../src/database/sqlite/unread-by-sender.ts'
import { messagesIn, range } from './support/client.ts'
import { fileOf, itOnSqlite, newDatabase, onPostgres } from './support/databases.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { randomFrom } from './support/random.ts'
import { assertOneReceiptEach } from './support/receipts.ts'
import { addAccount, newMessage, openStore, sessionIdOf } from './support/stores.ts'

const LIMITS = { inboxLimit: 12, inboxBytes: 400, senderLimit: 4 }
const ROUNDS = 200

const batchOf = (appends: NewMessage[]): Batch => ({ acknowledgements: [], lastSeen: [], appends })

/** A model of inboxes that handles messages, acknowledgements and receipts one by one. */
class Model {
  readonly expired = new Set<string>()
  readonly #inboxes = new Map<string, ModelInbox>()

  add(owner: Owner) {
    this.#inboxes.set(owner.username, new ModelInbox(owner))
  }

  of(username: string): ModelInbox {
    return this.#inboxes.get(username) ?? assert.fail(`${username} has no inbox.`)
  }

  append({ id, from, to, body, wantsReceipt }: NewMessage): AppendOutcome['kind'] {
    const [inbox, sender, bytes] = [this.of(to), this.of(from), Buffer.byteLength(body)]
    const messages = inbox.unread.filter(({ receiptFor }) => !receiptFor)
    if (inbox.blocked.has(from)) return 'blocked'
    if (wantsReceipt && sender.unread.filter(({ receiptFor }) => receiptFor).length >= LIMITS.inboxLimit)
      return 'too_many_receipts'
    if (messages.length >= LIMITS.inboxLimit) return 'inbox_full'
    const sum = messages.reduce((all, message) => all + message.bytes, bytes)
    if (messages.length > 0 && sum > LIMITS.inboxBytes) return 'inbox_full'
    if (messages.filter((message) => message.from === from).length >= LIMITS.senderLimit)
      return 'too_many_unread'
    inbox.add({ id, from, bytes, wantsReceipt })
    return 'appended'
  }

  acknowledge(reader: string, upTo: number): ModelReceipt[] {
    const idsBySender = new Map<string, string[]>()
    for (const { seq, id, from, wantsReceipt } of this.of(reader).unread) {
      const isBlocked = this.of(reader).blocked.has(from) || this.of(from).blocked.has(reader)
      if (seq > upTo || !wantsReceipt || isBlocked) continue
      idsBySender.set(from, [...(idsBySender.get(from) ?? []), id])
    }
    this.of(reader).remove(upTo)
    return [...idsBySender].map(([to, receiptFor]) => {
      const seq = this.of(to).add({ id: '', from: reader, bytes: 0, wantsReceipt: false, receiptFor })
      return { to, seq, receiptFor }
    })
  }

  expire() {
    for (const inbox of this.#inboxes.values())
      for (const { id, receiptFor } of inbox.remove(inbox.newest)) if (!receiptFor) this.expired.add(id)
  }
}

interface ModelReceipt {
  to: string
  seq: number
  receiptFor: string[]
}

interface ModelEntry {
  seq: number
  id: string
  from: string
  bytes: number
  wantsReceipt: boolean
  receiptFor?: string[]
}

class ModelInbox {
  readonly accountId: number
  readonly username: string
  readonly blocked = new Set<string>()
  newest = 0
  unread: ModelEntry[] = []

  constructor({ accountId, username }: Owner) {
    this.accountId = accountId
    this.username = username
  }

  add(entry: Omit<ModelEntry, 'seq'>): number {
    this.newest += 1
    this.unread.push({ seq: this.newest, ...entry })
    return this.newest
  }

  remove(upTo: number): ModelEntry[] {
    const removed = this.unread.filter(({ seq }) => seq <= upTo)
    this.unread = this.unread.filter(({ seq }) => seq > upTo)
    return removed
  }
}

test('batches of messages, acknowledgements, receipts, purges, blocks and restarts in any order decide like single operations', async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`seed ${seed}`)
  const random = randomFrom(seed)
  const upTo = (max: number) => Math.floor(random() * (max + 1))
  const database = await newDatabase(t)
  let store = await openStore(database, LIMITS)
  atTheEnd(t, () => store.close())
  const names = ['ada', 'bob', 'carol', 'dave']
  const model = new Model()
  for (const username of names) model.add({ accountId: await addAccount(store, username), username })
  const people = names.map((username) => model.of(username))
  const anybody = () => people[upTo(people.length - 1)] as ModelInbox
  const seen = new Set<string>()

  for (const round of range(1, ROUNDS)) {
    // Mostly one pair, so that batches reach limits in the middle.
    const [sender, recipient] = [anybody(), anybody()]
    const appends = range(1, upTo(9)).map(() => {
      const { accountId, username } = random() < 0.5 ? sender : anybody()
      const to = (random() < 0.7 ? recipient : anybody()).username
      const body = '€'.repeat(upTo(random() < 0.9 ? 20 : 80) + 1)
      return { ...newMessage(accountId, to, body), from: username, wantsReceipt: random() < 0.5 }
    })
    const readers = people
      .filter(() => random() < 0.2)
      .map((reader) => ({ reader, seq: upTo(reader.newest) }))
    const acknowledgements = readers.map(({ reader: { accountId }, seq }) => {
      return { sessionId: sessionIdOf(accountId), accountId, seq, atMs: Date.now() }
    })
    const expected = readers.flatMap(({ reader, seq }) => model.acknowledge(reader.username, seq))

    const { outcomes, receipts } = await decide(store, { acknowledgements, lastSeen: [], appends })

    const given = receipts.map(({ to, entry }) => ({
      to,
      seq: entry.seq,
      receiptFor: entry.receiptFor ?? [],
    }))
    assert.deepEqual(given.sort(byInbox), expected.sort(byInbox), `in round ${round}`)
    if (given.length > 0) seen.add('receipt')
    // Later decisions come later.
    for (const { append, kind } of outcomes) {
      assert.equal(kind, model.append(append), `in round ${round}`)
      seen.add(kind)
    }
    if (random() < 0.2) {
      const [owner, other] = [anybody(), anybody()]
      const blocks = random() < 0.5
      if (blocks) await store.block(owner, other.username, Date.now())
      else await store.unblock(owner, other.username)
      owner.blocked[blocks ? 'add' : 'delete'](other.username)
    }
    if (random() < 0.1) {
      const all = random() < 0.3
      await purge(store, all)
      if (all) model.expire()
    }
    if (random() < 0.02) {
      await store.close()
      store = await openStore(database, LIMITS)
    }
  }
  for (const { accountId, unread } of people) {
    const page = await store.readInbox(accountId, 'acknowledged', { messages: 100, bytes: 1e6 })
    assert.deepEqual(
      messagesIn(page.messages).map(({ seq, from, receiptFor }) => ({ seq, from, receiptFor })),
      unread.map(({ seq, from, receiptFor }) => ({ seq, from, receiptFor })),
    )
    for (const { id, receiptFor } of unread)
      if (!receiptFor) assert.equal((await store.findMessage(id))?.state, 'stored')
  }
  for (const id of model.expired) assert.equal((await store.findMessage(id))?.state, 'expired')
  for (const kind of ['appended', 'blocked', 'inbox_full', 'receipt', 'too_many_unread'])
    assert.ok(seen.has(kind), `${kind} came about`)
})

test('an acknowledgement of more messages than fit one receipt gives several', async (t) => {
  const database = await newDatabase(t)
  const store = await openStore(database, { inboxLimit: 2_000, inboxBytes: 1e6, senderLimit: 2_000 })
  atTheEnd(t, () => store.close())
  const [ada, bob] = [await addAccount(store, 'ada'), await addAccount(store, 'bob')]
  const messages = range(1, 2 * RECEIPT_MESSAGES_MAX + 1).map(() => ({
    ...newMessage(bob, 'ada', 'text'),
    wantsReceipt: true,
  }))
  await store.commit({ acknowledgements: [], lastSeen: [], appends: messages })
  const acknowledgements = [{ sessionId: sessionIdOf(ada), accountId: ada, seq: messages.length, atMs: 1 }]

  const { receipts } = await store.commit({ acknowledgements, lastSeen: [], appends: [] })

  const ids = messages.map(({ id }) => id)
  const parts = [ids.slice(0, 500), ids.slice(500, 1_000), ids.slice(1_000)]
  assert.deepEqual(
    receipts.map(({ entry }) => [entry.seq, entry.receiptFor]),
    parts.map((part, at) => [at + 1, part]),
  )
  const page = await store.readInbox(bob, 0, { messages: 100, bytes: 30_000 })
  assert.deepEqual(
    messagesIn(page.messages).map(({ receiptFor }) => receiptFor),
    parts.slice(0, 2),
    'a page ends by the size of its receipts',
  )
  assert.equal(await assertOneReceiptEach(database), messages.length)
})

/** In the order of owners and numbers. */
const byInbox = (one: ModelReceipt, other: ModelReceipt) =>
  one.to.localeCompare(other.to) || one.seq - other.seq

/** Commits until everything is decided. Returns the decisions in this order. */
async function decide(store: Database, batch: Batch) {
  const decided: { append: NewMessage; kind: AppendOutcome['kind'] }[] = []
  const receipts: AddedReceipt[] = []
  let next = batch
  do {
    const { outcomes, receipts: added } = await store.commit(next)
    receipts.push(...added)
    const undecided: NewMessage[] = []
    for (const [at, append] of next.appends.entries()) {
      const kind = outcomes[at]?.kind ?? assert.fail('An outcome is missing.')
      if (kind === 'undecided') undecided.push(append)
      else decided.push({ append, kind })
    }
    assert.ok(undecided.length < next.appends.length || undecided.length === 0, 'a commit decides something')
    next = batchOf(undecided)
  } while (next.appends.length > 0)
  return { outcomes: decided, receipts }
}

/** @param all whether to include unread messages */
async function purge(store: Database, all: boolean) {
  const laterMs = Date.now() + 1_000_000
  let fromAccountId: number | undefined = 0
  while (fromAccountId !== undefined)
    fromAccountId = (
      await store.purge({
        fromAccountId,
        acknowledgedBeforeMs: laterMs,
        unacknowledgedBeforeMs: all ? laterMs : 0,
        unacknowledgedFromMs: 0,
        keysBeforeMs: 0,
        keysAfterMs: laterMs,
        sessionsBeforeMs: 0,
        subscriptionsBeforeMs: 0,
        nowMs: Date.now(),
      })
    ).next
}

const rules: [name: string, limits: typeof LIMITS, body: string, refusal: string][] = [
  ['of an inbox', { inboxLimit: 10, inboxBytes: 1e6, senderLimit: 100 }, 'x', 'inbox_full'],
  ['of its size', { inboxLimit: 100, inboxBytes: 1_000, senderLimit: 100 }, 'x'.repeat(100), 'inbox_full'],
  ['of a sender', { inboxLimit: 100, inboxBytes: 1e6, senderLimit: 10 }, 'x', 'too_many_unread'],
]

describe('the last free place', () => {
  for (const [name, limits, body, refusal] of rules) {
    it(`${name} goes to one of 64 concurrent sends, on two nodes where there are several`, async (t) => {
      const { database, stores, send } = await openFilled(t, limits, body)

      const outcomes = await whileLocked(database, stores.length, () =>
        Promise.all(range(1, 64).map((number) => send(stores[number % stores.length] as Database))),
      )

      assert.deepEqual(outcomes.sort(), ['appended', ...Array(63).fill(refusal)].sort())
    })
  }
})

test('a sender with room in a crowded inbox has each message in it once, while two nodes write to it', async (t) => {
  const limits = { inboxLimit: 100, inboxBytes: 1e6, senderLimit: 9 }
  const { database, stores, ada } = await openFilled(t, limits, 'x')
  const cleo = await addAccount(stores[0] as Database, 'cleo')
  const messages = range(1, 8).map((number) => newMessage(cleo, 'ada', String(number)))

  const outcomes = await whileLocked(database, stores.length, () =>
    Promise.all(
      messages.map((message, index) => decide(stores[index % stores.length] as Database, batchOf([message]))),
    ),
  )

  assert.deepEqual(new Set(outcomes.map((decided) => decided.outcomes[0]?.kind)), new Set(['appended']))
  const page = await (stores[0] as Database).readInbox(ada, 'acknowledged', { messages: 100, bytes: 1e6 })
  assert.deepEqual(
    messagesIn(page.messages)
      .flatMap(({ from, id }) => (from === 'cleo' ? [id] : []))
      .sort(),
    messages.map(({ id }) => id).sort(),
  )
})

/** Two stores if there may be two, and an inbox with one free place, partly acknowledged. */
async function openFilled(t: TestContext, limits: typeof LIMITS, body: string) {
  const database = await newDatabase(t)
  const stores: Database[] = []
  for (const _ of onPostgres ? [1, 2] : [1]) stores.push(await openStore(database, limits))
  atTheEnd(t, async () => {
    for (const store of stores) await store.close()
  })
  const [first] = stores as [Database]
  const [ada, bob] = [await addAccount(first, 'ada'), await addAccount(first, 'bob')]
  const messages = (count: number) => batchOf(range(1, count).map(() => newMessage(bob, 'ada', body)))
  await first.commit(messages(7))
  const acknowledgements = [{ sessionId: sessionIdOf(ada), accountId: ada, seq: 7, atMs: Date.now() }]
  await first.commit({ ...messages(9), acknowledgements })
  /** In a commit of its own. */
  const send = async (store: Database) =>
    (await decide(store, batchOf([newMessage(bob, 'ada', body)]))).outcomes[0]?.kind
  return { database, stores, ada, send }
}

/**
 * Runs commits so that on PostgreSQL those of all nodes begin before the first can end: the row of the inbox
 * is locked until each node waits for it.
 */
async function whileLocked<T>(database: string, nodes: number, run: () => Promise<T>): Promise<T> {
  if (!onPostgres) return run()
  const client = new pg.Client(database)
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM account FOR UPDATE')
  const result = run()
  const waiting = `SELECT count(*)::int AS waiting FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'`
  await eventually('commits of all nodes wait', async () => {
    // Within a transaction, statistics are those of the first query.
    await client.query('SELECT pg_stat_clear_snapshot()')
    return (await client.query(waiting)).rows[0].waiting > nodes
  })
  await client.query('COMMIT')
  await client.end()
  return result
}

describe('an acknowledgement of messages without receipts', () => {
  it('reads none of them', async (t) => {
    const { ada, bob, adaId, run } = await openCounted(t, {
      inboxLimit: 100,
      inboxBytes: 1e6,
      senderLimit: 50,
    })
    await run(batchOf(range(1, 20).map(() => newMessage(bob, ada, 'text'))))
    const acknowledgements = [{ sessionId: sessionIdOf(adaId), accountId: adaId, seq: 20, atMs: 1 }]

    const { reads } = await run({ acknowledgements, lastSeen: [], appends: [] })

    // On PostgreSQL an empty index shows this; on SQLite the server knows that no message asks for a receipt.
    if (onPostgres) assert.deepEqual(reads, ['message_wants_receipt, 0 rows'])
    else assert.ok(!reads.some((statement) => statement.includes('wants_receipt')))
  })
})

describe('a send to an inbox far from its limits', () => {
  const limits = { inboxLimit: 100, inboxBytes: 1e6, senderLimit: 50 }

  it('reads and counts no messages', async (t) => {
    const { ada, bob, run } = await openCounted(t, limits)
    await run(batchOf([newMessage(bob, ada, 'the first')]))

    const { outcomes, reads } = await run(batchOf([newMessage(bob, ada, 'the second')]))

    assert.deepEqual(outcomes, ['appended'])
    assert.deepEqual(reads, [])
  })

  it('counts them when a limit is near', async (t) => {
    const { ada, bob, run } = await openCounted(t, { ...limits, senderLimit: 1 })
    await run(batchOf([newMessage(bob, ada, 'the first')]))

    const { outcomes, reads } = await run(batchOf([newMessage(bob, ada, 'one too many')]))

    assert.deepEqual(outcomes, ['too_many_unread'])
    assert.notDeepEqual(reads, [])
  })
})

itOnSqlite('a sender at the limit causes no reads of the inbox, however often it sends', async (t) => {
  const { ada, bob, run } = await openCounted(t, { inboxLimit: 100, inboxBytes: 1e6, senderLimit: 3 })
  await run(batchOf(range(1, 4).map(() => newMessage(bob, ada, 'text'))))

  const { outcomes, reads } = await run(batchOf(range(1, 20).map(() => newMessage(bob, ada, 'text'))))

  assert.deepEqual(new Set(outcomes), new Set(['too_many_unread']))
  assert.deepEqual(
    reads.filter((statement) => statement.includes('sender_id')),
    [],
  )
})

itOnSqlite(
  'counts of crowded inboxes are cached, and unused ones are evicted when the cache is full',
  async (t) => {
    const database = await newDatabase(t)
    const store = await openStore(database, { inboxLimit: 100, inboxBytes: 1e6, senderLimit: 50 })
    const names = ['ada', 'bob', 'cleo']
    const ids: number[] = []
    for (const name of names) ids.push(await addAccount(store, name))
    const senderId = ids[0] as number
    await store.commit(
      batchOf(names.flatMap((name) => range(1, 4).map(() => newMessage(senderId, name, 'text')))),
    )
    await store.close()
    let reads = 0
    const connection = new SqliteFile(fileOf(database), {
      verbose: () => {
        reads += 1
      },
    })
    atTheEnd(t, () => connection.close())
    const unread = new UnreadBySender(connection, 10)
    const recipients = new Recipients(connection)
    const [ada, bob, cleo] = names.map((name) => recipients.find(name) as Recipient) as [
      Recipient,
      Recipient,
      Recipient,
    ]
    const count = (recipient: Recipient) => {
      reads = 0
      return { messages: unread.count(recipient, senderId), reads }
    }

    assert.deepEqual([ada, bob, ada].map(count), [
      { messages: 4, reads: 1 },
      { messages: 4, reads: 1 },
      { messages: 4, reads: 0 },
    ])
    assert.deepEqual(count(cleo), { messages: 4, reads: 1 })
    assert.deepEqual(count(ada), { messages: 4, reads: 0 }, 'it was counted after the one that went')
    // Twelve were read and three arrived: the cache holds no more than the unread messages.
    for (const _ of range(1, 3)) {
      ada.newestSeq += 4
      ada.readSeq += 4
      unread.added(ada, senderId)
    }
    assert.deepEqual(count(ada), { messages: 1, reads: 0 })
    assert.deepEqual(count(cleo), { messages: 4, reads: 0 })
    for (const _ of range(1, 6)) {
      cleo.newestSeq += 1
      unread.added(cleo, senderId)
    }
    assert.deepEqual(count(cleo), { messages: 10, reads: 0 })
    assert.deepEqual(count(ada), { messages: 0, reads: 1 }, 'it went for the messages that came')
  },
)

/** Two people, and a store that reports which of its statements, or their parts, have read messages. */
async function openCounted(t: TestContext, limits: typeof LIMITS) {
  const database = await newDatabase(t)
  const store = await openStore(database, limits)
  const ada = 'ada'
  const adaId = await addAccount(store, ada)
  const bob = await addAccount(store, 'bob')
  await store.close()
  const run = onPostgres ? await explained(t, database, limits) : watched(t, database, limits)
  return { ada, bob, adaId, run }
}

type Counted = (batch: Batch) => Promise<{ outcomes: string[]; reads: string[] }>

function watched(t: TestContext, database: string, limits: typeof LIMITS): Counted {
  let statements: string[] = []
  const connection = new SqliteFile(fileOf(database), { verbose: (sql) => statements.push(String(sql)) })
  atTheEnd(t, () => connection.close())
  const { commit } = sqliteCommit(connection, new Recipients(connection), limits)
  return async (batch) => {
    statements = []
    const { outcomes } = await commit(batch)
    const reads = statements.filter((sql) => /(FROM|JOIN) message/.test(sql))
    return { outcomes: outcomes.map(({ kind }) => kind), reads }
  }
}

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Loops': number
  'Actual Rows': number
  Plans?: PlanNode[]
}

async function explained(t: TestContext, database: string, limits: typeof LIMITS): Promise<Counted> {
  const client = new pg.Client(database)
  await client.connect()
  atTheEnd(t, () => client.end())
  const reads: string[] = []
  const query = async ({ text, values }: { text: string; values: unknown[] }) => {
    // First rolled back, then committed.
    await client.query('BEGIN')
    const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values)
    await client.query('ROLLBACK')
    for (const node of nodesOf(rows[0]['QUERY PLAN'][0].Plan)) {
      const isRead = node['Relation Name'] === 'message' && node['Node Type'] !== 'ModifyTable'
      if (isRead && node['Actual Loops'] > 0) reads.push(`${node['Index Name']}, ${node['Actual Rows']} rows`)
    }
    return client.query(text, values)
  }
  const { commit } = postgresCommit({ query } as unknown as pg.Pool, 'node', 'channel', limits)
  return async (batch) => {
    reads.length = 0
    const { outcomes } = await commit(batch)
    return { outcomes: outcomes.map(({ kind }) => kind), reads: [...reads] }
  }
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]
