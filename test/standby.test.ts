/** Another PostgreSQL server takes over, without some of the accepted messages. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { accepted, laggingStandby, takeOver } from './standby/standby.ts'
import { Client, type Message, seqsOf } from './support/client.ts'
import { atTheEnd } from './support/endings.ts'
import { at } from './support/nodes.ts'
import { orAgain, park } from './support/parked.ts'
import { startCluster } from './support/postgres.ts'
import { startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'

const TOOK_OVER = /^The database was restored, or another server has taken over: 3 inboxes/

it('running nodes report the gap to every client, also to a parked poll, and repeat no number', async (t) => {
  const setting = await laggingStandby(t)
  const { nodes, ada, bob, carol, lost } = setting
  const poll = await park(t, ada, 'after=42&wait=55')
  const idle = await park(t, at(nodes[1], carol), 'after=0&wait=55')

  await takeOver(setting)

  // Nothing is sent: the node detects it itself.
  const body = await orAgain(poll, ada, 'after=42&wait=55')
  assert.deepEqual([body.messages, body.gap], [[], { from: 43, to: body.cursor, reason: 'restored' }])
  assert.equal((await orAgain(idle, at(nodes[1], carol), 'after=0&wait=55')).gap.reason, 'restored')
  await accepted(bob, ada, 'the first')
  await accepted(at(nodes[1], bob), ada, 'the second')
  const { body: behind } = await ada.poll({ after: body.cursor, wait: 0 })
  assert.deepEqual(
    behind.messages.map(({ body: text }: Message) => text),
    ['the first', 'the second'],
  )
  assert.deepEqual(seqsOf(behind.messages), [body.cursor + 1, body.cursor + 2])
  assert.deepEqual(
    await Promise.all(lost.map(async (id) => (await bob.status(id)).status)),
    lost.map(() => 404),
  )
  // Two nodes with dozens of connections have moved the inboxes on only once.
  const lines = nodes.flatMap(({ logs }) => logs.filter(({ msg }) => TOOK_OVER.test(msg)))
  assert.equal(lines.length, 1)
  const ranges = await withSql(setting.url.href, ({ run }) => run('SELECT * FROM restored_range'))
  assert.equal(ranges.length, 3)
})

it('a restart of the same server is no restore, even after a crash', async (t) => {
  const cluster = await startCluster()
  atTheEnd(t, () => cluster.stop())
  const url = await cluster.createDatabase()
  const node = await startServer(t, {}, url)
  const [ada, bob] = [await new Client(node).join('ada'), await new Client(node).join('bob')]
  await bob.sendMany(ada, 2)

  await cluster.crash()
  await cluster.start()
  await accepted(bob, ada, 'the third')

  const { body } = await ada.poll({ after: 2, wait: 0 })
  assert.deepEqual([seqsOf(body.messages), body.gap], [[3], undefined])
})
