import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Client, range } from './support/client.ts'
import { DatabaseWay } from './support/database-way.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { orAgain, park } from './support/parked.ts'
import { startCluster } from './support/postgres.ts'
import { startServer } from './support/servers.ts'

it('a node follows to the new primary, though the old one is back at the address meanwhile', async (t) => {
  const old = await startCluster()
  atTheEnd(t, () => old.stop())
  const way = await DatabaseWay.start(t, old.port)
  const url = new URL(await old.createDatabase())
  url.port = String(way.port)
  const node = await startServer(t, {}, url.href)
  const [ada, bob] = [await new Client(node).join('ada'), await new Client(node).join('bob')]
  const poll = await park(t, ada, 'wait=55')

  await old.halt()
  const primary = await startCluster({ copyOf: old })
  atTheEnd(t, () => primary.stop())
  atTheEnd(t, () => node.stop())
  old.takeNoWrites()
  await old.start()

  // As many as there may be connections: each of them could stay with the old one.
  const early = await Promise.all(range(1, 12).map((number) => bob.send(ada, `early ${number}`)))
  for (const { status, body } of early) assert.deepEqual([status, body.code], [503, 'overloaded'])
  assert.equal((await new Client(node).get('/readyz')).status, 503)

  way.leadTo(primary.port)
  await eventually('a message is accepted', async () => (await bob.send(ada, 'hello')).status === 201)
  const body = await orAgain(poll, ada, 'wait=55')
  assert.deepEqual([body.messages[0].seq, body.messages[0].body], [1, 'hello'])
})
