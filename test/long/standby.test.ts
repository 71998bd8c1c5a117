/** Continues test/standby.test.ts: further restores and failovers, with further clients. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { accepted, laggingStandby, takeOver } from '../standby/standby.ts'
import { Client, range, seqsOf } from '../support/client.ts'
import { atTheEnd } from '../support/endings.ts'
import { at } from '../support/nodes.ts'
import { startCluster } from '../support/postgres.ts'
import { startServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'

it('a client that comes back after the inbox has outgrown its cursor gets the gap', async (t) => {
  const setting = await laggingStandby(t)
  const { ada, bob, nodes } = setting

  await takeOver(setting)
  await accepted(bob, ada, 'the first')
  for (const number of range(2, 15))
    await accepted(at(nodes[number % 2] ?? nodes[0], bob), ada, `number ${number}`)

  const { body } = await ada.poll({ after: 42, wait: 0 })
  assert.deepEqual([body.gap.from, body.gap.reason, body.messages.length], [43, 'restored', 15])
  assert.equal(body.messages[0].seq, body.gap.to + 1)
})

it('a recovery to a point in time is detected like a failover', async (t) => {
  const before = await startCluster()
  atTheEnd(t, () => before.stop())
  const url = new URL(await before.createDatabase())
  const node = await startServer(t, {}, url.href)
  const [ada, bob] = [await new Client(node).join('ada'), await new Client(node).join('bob')]
  await bob.sendMany(ada, 3)
  await before.halt()
  const recovered = await startCluster({ copyOf: before, recovers: true })
  atTheEnd(t, () => recovered.stop())
  await before.start()
  await accepted(bob, ada, 'lost')
  await node.stop()

  url.port = String(recovered.port)
  const there = await startServer(t, {}, url.href)

  await at(there, bob).sendMany(ada, 2)
  const { body } = await at(there, ada).poll({ after: 4, wait: 0 })
  assert.deepEqual([body.gap.from, body.gap.reason], [5, 'restored'])
  assert.deepEqual(seqsOf(body.messages), [body.gap.to + 1, body.gap.to + 2])
})

it('a role that may not read the identity of the server gets one warning, and the node serves', async (t) => {
  const cluster = await startCluster()
  atTheEnd(t, () => cluster.stop())
  const url = new URL(await cluster.createDatabase())
  await withSql(url.href, async ({ run }) => {
    await run(`CREATE ROLE guest LOGIN PASSWORD 'guest'`)
    await run(`ALTER DATABASE "${url.pathname.slice(1)}" OWNER TO guest`)
    await run('GRANT ALL ON SCHEMA public TO guest')
  })
  Object.assign(url, { username: 'guest', password: 'guest' })
  const ordinary = await startServer(t, {}, url.href)
  const noted = await withSql(url.href, ({ run }) => run('SELECT timeline FROM store'))
  assert.deepEqual(noted, [{ timeline: 1 }])
  await ordinary.stop()
  const root = new URL(await cluster.createDatabase())
  root.pathname = url.pathname
  await withSql(root.href, ({ run }) => run('REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC'))

  const node = await startServer(t, {}, url.href)

  const [ada, bob] = [await new Client(node).join('ada'), await new Client(node).join('bob')]
  await Promise.all(range(1, 12).map(() => bob.send(ada, 'hello')))
  const warnings = node.logs.filter(({ msg }) => msg.includes('restores and failovers are not detected'))
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]?.msg ?? '', /Run "restante restored" after one/)
})
