import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Client, range } from './support/client.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { FaultyProxy } from './support/faulty-proxy.ts'
import { through } from './support/nodes.ts'
import { orAgain, park } from './support/parked.ts'
import { startCluster } from './support/postgres.ts'
import { startServer } from './support/servers.ts'

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
