/** Several nodes purge the shared database at the same time, in small batches, while messages arrive. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NewMessage } from '../src/database/database.ts'
import { openPostgres } from '../src/database/postgres/open.ts'
import type { PurgeBatch } from '../src/database/purge-batch.ts'
import type { SharedDatabase } from '../src/database/shared-database.ts'
import { messageId } from '../src/message-id.ts'
import { stillClock } from './support/clocks.ts'
import { range } from './support/range.ts'
import { type SharedCluster, shareCluster } from './support/shared-cluster.ts'
import { withSql } from './support/sql.ts'

const DAY_MS = 86_400_000
const OLD_MS = Date.now() - 2 * DAY_MS

let cluster: SharedCluster
let url: string
const stores: SharedDatabase[] = []

before(async () => {
  cluster = await shareCluster()
  url = await cluster.createDatabase()
  for (const _ of range(1, 3))
    stores.push(
      await openPostgres(url, { inboxLimit: 1e6, inboxBytes: 1e9, senderLimit: 1e6 }, { warn: assert.fail }),
    )
})

after(async () => {
  for (const store of stores) await store.close()
  await cluster.stop()
})

test('a batch takes a part of a long inbox, and the next one continues there', async () => {
  const [store] = stores as [SharedDatabase]
  const account = await join('long', 250)
  await acknowledge(account, 240)

  const purged = await store.purge(batch({ fromAccountId: account.id - 1 }))

  assert.deepEqual(purged, { next: account.id - 1, messages: 100 })
  assert.deepEqual(await inboxOf(account.id), { purged: 100, newest: 250, seqs: range(101, 250) })
  await pass(store, {})
  assert.deepEqual(await inboxOf(account.id), { purged: 240, newest: 250, seqs: range(241, 250) })
})

test('three nodes that purge at once while two senders write remove nothing that must stay', async () => {
  const [first, second, third] = stores as [SharedDatabase, SharedDatabase, SharedDatabase]
  const accounts: Joined[] = []
  for (const index of range(1, 60)) accounts.push(await join(`crowd${index}`, 150))
  for (const account of accounts) await acknowledge(account, 100)

  const sending = [first, second].map(async (store) => {
    for (const _ of range(1, 10))
      await send(
        store,
        accounts.flatMap(({ username }) => [username, username]),
      )
  })
  const purging = [first, second, third].map((store) => pass(store, {}))
  await Promise.all([...sending, ...purging])
  // Each skips rows that another has locked.
  await pass(third, {})

  for (const { id } of accounts)
    assert.deepEqual(await inboxOf(id), { purged: 100, newest: 190, seqs: range(101, 190) })
})

test('messages that arrive while their inbox expires are not counted as removed', async () => {
  const [first, second, third] = stores as [SharedDatabase, SharedDatabase, SharedDatabase]
  const { id, username } = await join('expiring', 0)
  let sending = true
  // Old from the start: all may be purged, but none before it was read.
  const sent = Promise.all(
    [first, second].map(async (store) => {
      for (const _ of range(1, 40)) await send(store, [username, username, username], OLD_MS)
    }),
  ).finally(() => {
    sending = false
  })
  while (sending) await pass(third, { unacknowledgedBeforeMs: Date.now() - DAY_MS })
  await sent

  const { purged, newest, seqs } = await inboxOf(id)
  assert.equal(newest, 240)
  assert.deepEqual(seqs, range(purged + 1, 240))
  await pass(third, { unacknowledgedBeforeMs: Date.now() - DAY_MS })
  assert.deepEqual(await inboxOf(id), { purged: 240, newest: 240, seqs: [] })
})

test('a node is removed when it has counted as dead for a minute, and no living node, however the clock is set', async (t) => {
  const [store] = stores as [SharedDatabase]
  const setAlive = (id: string, inMs: number) =>
    withSql(url, ({ run }) =>
      run(
        'INSERT INTO node VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until',
        ...[id, new Date(Date.now() + inMs)],
      ),
    )
  const clock = stillClock(t)
  clock.tick(60_000)
  // A living node looks like this, too, before its first heartbeat after a step.
  for (const id of ['killed', 'living']) await setAlive(id, -3_600_000)
  await setAlive('killed before the clock went back', 3_600_000)
  await pass(store, {})
  await setAlive('living', 8_000)
  await setAlive('stepped', -3_600_000)

  clock.tick(60_000)
  await pass(store, {})

  const left = await withSql(url, ({ run }) =>
    run("SELECT id FROM node WHERE id ~ '^(killed|living|stepped)' ORDER BY id"),
  )
  assert.deepEqual(
    left.map(({ id }) => id),
    ['living', 'stepped'],
  )
})

interface Joined {
  id: number
  username: string
}

/** Adds an account with this many old messages. */
async function join(username: string, messages: number): Promise<Joined> {
  const [store] = stores as [SharedDatabase]
  await store.createAccount({ username, displayName: username, passwordHash: 'x', createdAtMs: OLD_MS })
  const { id = 0 } = (await store.findAccount(username)) ?? {}
  const seqs = { acknowledgedSeq: 0, offeredSeq: 0 }
  const dates = { createdAtMs: Date.now(), expiresAtMs: Date.now() + DAY_MS }
  await store.openSession({ id, passwordHash: 'x' }, { id: `of ${id}`, accountId: id, ...seqs, ...dates }, 10)
  await send(
    store,
    Array.from({ length: messages }, () => username),
    OLD_MS,
  )
  return { id, username }
}

async function send(store: SharedDatabase, to: string[], sentAtMs = Date.now()) {
  const appends = to.map(
    (name): NewMessage => ({
      ...{ senderId: 1, from: 'somebody', to: name, body: 'hello', sentAtMs, live: false },
      id: messageId(sentAtMs),
      wantsReceipt: false,
      idempotency: undefined,
    }),
  )
  const { outcomes } = await store.commit({ acknowledgements: [], lastSeen: [], appends })
  assert.ok(outcomes.every(({ kind }) => kind === 'appended'))
}

async function acknowledge({ id }: Joined, seq: number) {
  const acknowledgements = [{ sessionId: `of ${id}`, accountId: id, seq, atMs: Date.now() }]
  await stores[0]?.commit({ acknowledgements, lastSeen: [], appends: [] })
}

const batch = (more: Partial<PurgeBatch>): PurgeBatch => ({
  fromAccountId: 0,
  acknowledgedBeforeMs: Date.now() - DAY_MS,
  unacknowledgedBeforeMs: Number.NEGATIVE_INFINITY,
  unacknowledgedFromMs: 0,
  keysBeforeMs: Date.now() - DAY_MS,
  keysAfterMs: Date.now() + DAY_MS,
  sessionsBeforeMs: Date.now() - DAY_MS,
  subscriptionsBeforeMs: Date.now() - DAY_MS,
  nowMs: Date.now(),
  ...more,
})

async function pass(store: SharedDatabase, more: Partial<PurgeBatch>) {
  for (let from: number | undefined = 0; from !== undefined; )
    from = (await store.purge(batch({ ...more, fromAccountId: from }))).next
}

async function inboxOf(id: number) {
  const [row] = await withSql(url, ({ run }) =>
    run(
      `SELECT purged_seq AS purged, newest_seq AS newest,
              ARRAY(SELECT seq::int FROM message WHERE recipient_id = account.id ORDER BY seq) AS seqs
         FROM account WHERE id = ?`,
      id,
    ),
  )
  return row as unknown as { purged: number; newest: number; seqs: number[] }
}
