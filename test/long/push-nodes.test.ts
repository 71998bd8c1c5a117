import { test } from 'node:test'
import { range } from '../support/client.ts'
import { at } from '../support/nodes.ts'
import { Dormitory, PUSH } from '../support/push.ts'
import { CA_FILE, PushService } from '../support/push-service.ts'
import { spawnServer } from '../support/servers.ts'
import { shareCluster } from '../support/shared-cluster.ts'

const ROUNDS = Number(process.env['PUSH_ROUNDS'] ?? 5)
const SLEEPERS = 30

test('whenever a node is killed, a session that gets another message is woken', {
  timeout: 600_000,
}, async (t) => {
  const cluster = await shareCluster()
  t.after(() => cluster.stop())
  const database = await cluster.createDatabase()
  const service = await PushService.start(t)
  const env = { ...PUSH, NODE_EXTRA_CA_CERTS: CA_FILE }
  const survivor = await spawnServer(t, env, database)
  const room = await Dormitory.at(survivor, service)
  const sleepers = await Promise.all(range(1, SLEEPERS).map(() => room.sleeper()))

  for (const round of range(1, ROUNDS)) {
    await Promise.all(sleepers.map((sleeper) => sleeper.read(true)))
    const before = new Map(sleepers.map((sleeper) => [sleeper, sleeper.hints.length]))
    const victim = await spawnServer(t, env, database)
    const sender = at(victim, room.sender)
    // Some of its hints are sent, some are in flight, and for some the message is not stored yet.
    const sends = sleepers.map(({ person }) => sender.send(person, `round ${round}`).catch(() => undefined))
    await Promise.race([Promise.all(sends.slice(0, (round * 7) % SLEEPERS)), victim.exited])
    victim.process.kill('SIGKILL')
    await victim.exited
    await Promise.all(sends)

    await Promise.all(sleepers.map(({ person }) => room.sender.send(person, `after round ${round}`)))
    // Sessions that the killed node has claimed but not hinted are woken when its claims expire.
    await Promise.all(sleepers.map((sleeper) => sleeper.got((before.get(sleeper) ?? 0) + 1, 60_000)))
  }
})
