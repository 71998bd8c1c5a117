import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { range } from '../support/client.ts'
import { newDatabase } from '../support/databases.ts'
import { eventually } from '../support/eventually.ts'
import { at } from '../support/nodes.ts'
import { Dormitory, PUSH, type Sleeper } from '../support/push.ts'
import { CA, PushService, type Reply } from '../support/push-service.ts'
import { startServer } from '../support/servers.ts'
import { shareCluster } from '../support/shared-cluster.ts'

const SLEEPERS = Number(process.env['PUSH_SLEEPERS'] ?? 40)
const STEPS = 30

/** Answers of a push service after which a hint is eventually sent. */
const REPLIES: Reply[] = [
  ...Array<Reply>(6).fill({ status: 201 }),
  { status: 201, headers: { TTL: '0' } },
  { status: 201, headers: { TTL: '1' } },
  { status: 429, headers: { 'Retry-After': '0' } },
  { status: 503 },
  { status: 302, headers: { Location: '/' } },
  'close',
  'upgrade',
  'trickle',
  'trickle',
  'hang',
]
const isTaken = (reply: Reply | undefined) =>
  reply === 'trickle' || (typeof reply === 'object' && reply.status === 201)

const anyOf = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T

/** @returns the time since when it was neither woken nor has read: from then on a message wakes it */
async function live(sleeper: Sleeper, rooms: Dormitory[], service: PushService): Promise<number> {
  const { person } = sleeper
  let { subscription } = sleeper
  let sinceMs = performance.now()
  const send = () => anyOf(rooms).sender.send(person, 'Hello')
  const steps: (() => Promise<unknown>)[] = [
    send,
    send,
    send,
    async () => Promise.all([send(), send(), send()]),
    async () => {
      sinceMs = performance.now()
      await at(anyOf(rooms).client, person).poll({ wait: 0, away: true })
    },
    async () => {
      sinceMs = performance.now()
      const { body } = await at(anyOf(rooms).client, person).poll({ wait: 0, away: true })
      await at(anyOf(rooms).client, person).poll({ wait: 0, away: true, after: body.cursor })
    },
    async () => person.subscribe(subscription),
    async () => {
      sinceMs = performance.now()
      const { pathname, search } = new URL(subscription.endpoint)
      subscription = service.subscribe(pathname + search)
      await person.subscribe(subscription)
      sinceMs = performance.now()
    },
  ]
  for (const _ of range(1, STEPS)) {
    // The keys change rarely.
    await anyOf(Math.random() < 0.1 ? steps : steps.slice(0, -1))()
    await pause(Math.random() * 200)
  }
  return sinceMs
}

async function liveAll(t: TestContext, database: string, nodes: number) {
  const service = await PushService.start(t)
  const times = { backOffMs: 20, totalMs: 300, openMs: 100 }
  const way = { ca: CA, times, hintTimes: { acknowledgeMs: 600, claimMs: 2_000 } }
  const env = { ...PUSH, PRESENCE_GRACE: '100ms', RATE_LIMITS: 'off' }
  const servers = await Promise.all(range(1, nodes).map(() => startServer(t, env, database, {}, way)))
  const rooms: Dormitory[] = []
  for (const server of servers) rooms.push(await Dormitory.at(server, service))
  const [room] = rooms as [Dormitory]
  const sleepers = await Promise.all(range(1, SLEEPERS).map(() => room.sleeper()))
  service.replyWith(...range(1, SLEEPERS * STEPS).map(() => anyOf(REPLIES)))

  const since = await Promise.all(sleepers.map((sleeper) => live(sleeper, rooms, service)))
  service.endReplies()
  await Promise.all(sleepers.map(({ person }) => anyOf(rooms).sender.send(person, 'The last one')))

  const asleep = () =>
    sleepers.filter(
      ({ hints }, index) =>
        !hints.some(({ atMs, reply }) => isTaken(reply) && atMs >= (since[index] as number)),
    )
  await eventually('all are woken', () => asleep().length === 0, 20_000).catch(() => undefined)
  assert.deepEqual(
    asleep().map(({ newest }) => newest),
    [],
  )
  assert.deepEqual(service.faults, [])
}

test('in any history, a session that gets another message after a read is woken: SQLite', async (t) => {
  await liveAll(t, await newDatabase(t), 1)
})

test('in any history, a session that gets another message after a read is woken: two nodes', async (t) => {
  const cluster = await shareCluster()
  t.after(() => cluster.stop())
  await liveAll(t, await cluster.createDatabase(), 2)
})
