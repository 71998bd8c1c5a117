/** Another PostgreSQL server takes over: a standby that is behind, the new primary, a recovery. */
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { Client, type Message, type Person, range, seqsOf } from '../support/client.ts'
import { atTheEnd } from '../support/endings.ts'
import { eventually } from '../support/eventually.ts'
import { FaultyProxy } from '../support/faulty-proxy.ts'
import { at, through } from '../support/nodes.ts'
import { orAgain, park } from '../support/parked.ts'
import { type Cluster, startCluster } from '../support/postgres.ts'
import { startServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'

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

it('a node moves to the new primary, even if the old one comes back at the address meanwhile', async (t) => {
  const old = await startCluster()
  atTheEnd(t, () => old.stop())
  const proxy = await FaultyProxy.start(t, old.port)
  const node = await startServer(t, {}, through(proxy, await old.createDatabase()))
  const [ada, bob] = [await new Client(node).join('ada'), await new Client(node).join('bob')]
  const poll = await park(t, ada, 'wait=55')

  await old.halt()
  const primary = await startCluster({ copyOf: old })
  atTheEnd(t, () => primary.stop())
  atTheEnd(t, () => node.stop())
  old.takeNoWrites()
  await old.start()

  // As many as there may be connections, because each could stay with the old primary.
  const early = await Promise.all(range(1, 12).map((number) => bob.send(ada, `early ${number}`)))
  for (const { status, body } of early) assert.deepEqual([status, body.code], [503, 'overloaded'])
  assert.equal((await new Client(node).get('/readyz')).status, 503)

  proxy.redirectTo(primary.port)
  await eventually('a message is accepted', async () => (await bob.send(ada, 'hello')).status === 201)
  const body = await orAgain(poll, ada, 'wait=55')
  assert.deepEqual([body.messages[0].seq, body.messages[0].body], [1, 'hello'])
})

/** Two nodes of a primary, and a standby that has 30 of the 42 messages in Ada's inbox. */
async function laggingStandby(t: TestContext) {
  const primary = await startCluster()
  atTheEnd(t, () => primary.stop())
  const url = new URL(await primary.createDatabase())
  await primary.halt()
  const stream = await FaultyProxy.start(t, primary.port)
  const standby = await startCluster({ copyOf: primary, follows: stream.port })
  atTheEnd(t, async () => {
    await standby.stop()
    // The primary would wait until the standby has everything.
    stream.refuse()
  })
  await primary.start()
  const proxy = await FaultyProxy.start(t, primary.port)
  url.port = String(proxy.port)
  const nodes = await Promise.all([startServer(t, {}, url.href), startServer(t, {}, url.href)])
  const [node] = nodes
  const client = new Client(node)
  const [ada, bob, carol] = [await client.join('ada'), await client.join('bob'), await client.join('carol')]
  await bob.sendMany(ada, 30)
  await eventually('the standby has the messages', () => has(standby, url, 30), 30_000)
  stream.stall()
  const lost = await bob.sendMany(ada, 12)
  assert.deepEqual(seqsOf((await ada.poll({ after: 30, wait: 0 })).body.messages), range(31, 42))
  return { primary, standby, proxy, url, nodes, ada, bob, carol, lost }
}

async function has(cluster: Cluster, url: URL, messages: number): Promise<boolean> {
  return withSql(through(cluster, url.href), async ({ run }) => {
    const [row] = await run("SELECT count(*) AS n FROM pg_tables WHERE tablename = 'message'")
    return row?.['n'] === 1 && (await run('SELECT count(*) AS n FROM message'))[0]?.['n'] === messages
  }).catch(() => false)
}

async function takeOver({ primary, standby, proxy }: Awaited<ReturnType<typeof laggingStandby>>) {
  await primary.crash()
  await standby.promote()
  proxy.redirectTo(standby.port)
  proxy.drop()
}

const accepted = (sender: Person, to: Person, body: string) =>
  eventually('a message is accepted', async () => (await sender.send(to, body)).status === 201, 20_000)
