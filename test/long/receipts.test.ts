/** Receipts on two nodes that are killed again and again. */
import { it } from 'node:test'
import { receiptsOutliveKills } from '../receipts/kills.ts'
import { atTheEnd } from '../support/endings.ts'
import { shareCluster } from '../support/shared-cluster.ts'

it('1 000 messages with receipts on two nodes that are killed: each acknowledged message has one, no other has any', async (t) => {
  const cluster = await shareCluster()
  atTheEnd(t, () => cluster.stop())
  const size = { messages: 1_000, unacknowledged: 100, kills: 12 }
  await receiptsOutliveKills(t, await cluster.createDatabase(), size)
})
