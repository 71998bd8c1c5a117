/** A standby that is behind when it takes over. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Client, type Person, range, seqsOf } from '../support/client.ts'
import { atTheEnd } from '../support/endings.ts'
import { eventually } from '../support/eventually.ts'
import { FaultyProxy } from '../support/faulty-proxy.ts'
import { through } from '../support/nodes.ts'
import { type Cluster, startCluster } from '../support/postgres.ts'
import { startServer } from '../support/servers.ts'
import { withSql } from '../support/sql.ts'

/** Two nodes of a primary, and a standby that has 30 of the 42 messages in Ada's inbox. */
export async function laggingStandby(t: TestContext) {
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

export async function takeOver({ primary, standby, proxy }: Awaited<ReturnType<typeof laggingStandby>>) {
  await primary.crash()
  await standby.promote()
  proxy.redirectTo(standby.port)
  proxy.drop()
}

export const accepted = (sender: Person, to: Person, body: string) =>
  eventually('a message is accepted', async () => (await sender.send(to, body)).status === 201, 20_000)
