import { join } from 'node:path'
import { sendAll } from '../support/load.ts'
import { inTurn, median, percentiles, rowOf, type Scenario } from '../support/measure.ts'
import { people } from '../support/people.ts'
import { exchange, pairsOf } from '../support/polls.ts'
import { startPostgres } from '../support/postgres.ts'
import { type Service, startServer } from '../support/processes.ts'
import { seed, verifyStore } from '../support/store.ts'

const CONNECTIONS = 64
const ACCOUNTS = 10_000

/** One, two and four nodes over one PostgreSQL, beside one node on its SQLite file. */
export const nodes: Scenario = async (bench) => {
  const postgres = await startPostgres(ACCOUNTS)
  const file = join(bench.folder, 'nodes.db')
  await seed(file, ACCOUNTS)
  const alone = await startServer(file)
  const [first, second] = [await startServer(postgres.url), await startServer(postgres.url)]
  const four = [first, second, await startServer(postgres.url), await startServer(postgres.url)]

  let accepted = 0
  const load = async (services: Service[], seconds = bench.seconds) => {
    const cpu = () => services.reduce((sum, service) => sum + service.cpuSeconds(), 0)
    const before = { nodes: cpu(), database: postgres.cpuSeconds() }
    const sent = await sendToAll(services, seconds)
    if (services[0] !== alone) accepted += sent.accepted
    const us = (used: number) => (1e6 * used) / sent.accepted
    const [nodesUs, databaseUs] = [us(cpu() - before.nodes), us(postgres.cpuSeconds() - before.database)]
    return { perSecond: sent.perSecond, nodesUs, databaseUs }
  }
  // The last people, to whom nobody else sends.
  const [pair, samePair, twoPair] = [6, 4, 2].map((end) => pairsOf(people(ACCOUNTS - end, 2)))
  const pass = async (pairs = pair, sendTo = alone, pollAt = sendTo, seconds = bench.seconds) => {
    const { latencies } = await exchange(pairs ?? [], seconds, sendTo.url, pollAt.url)
    if (sendTo !== alone) accepted += latencies.length
    return latencies
  }

  await load([alone], bench.warmUpSeconds)
  await load(four, bench.warmUpSeconds)
  await pass(pair, alone, alone, bench.warmUpSeconds)
  await pass(samePair, first, first, bench.warmUpSeconds)
  await pass(twoPair, first, second, bench.warmUpSeconds)
  const measured = await inTurn(bench.rounds, {
    alone: () => load([alone]),
    nodes1: () => load([first]),
    nodes2: () => load([first, second]),
    nodes4: () => load(four),
    pairAlone: () => pass(),
    pairSame: () => pass(samePair, first),
    pairTwo: () => pass(twoPair, first, second),
  })
  await Promise.all([...four, alone].map((service) => service.stop()))
  await verifyStore(postgres.url, accepted, 3 * CONNECTIONS * (bench.rounds + 1))
  await postgres.stop()

  const floorIs = 'one node on SQLite'
  const rates = (rounds: { perSecond: number }[]) => rounds.map(({ perSecond }) => perSecond)
  const sendsOf = (count: 1 | 2 | 4) => {
    const loaded = measured[`nodes${count}`]
    const what = `durable sends, 64 connections, ${count} ${count === 1 ? 'node' : 'nodes'} on PostgreSQL`
    const us = (of: 'nodesUs' | 'databaseUs') => Math.round(median(loaded.map((round) => round[of])))
    const note = `processor time of a message: nodes ${us('nodesUs')} µs, database ${us('databaseUs')} µs`
    return rowOf({ what, floorIs, unit: 'messages/s', note }, rates(loaded), rates(measured.alone))
  }
  const latencyOf = (where: string, rounds: number[][], share: number, target = {}) => {
    const what = `send to answered poll, one pair, ${where}, p${100 * share}`
    const floors = percentiles(measured.pairAlone, share)
    return rowOf({ what, floorIs, unit: 'ms', ...target }, percentiles(rounds, share), floors)
  }
  return [
    ...([1, 2, 4] as const).map(sendsOf),
    latencyOf('the same node', measured.pairSame, 0.5),
    latencyOf('two nodes', measured.pairTwo, 0.5),
    latencyOf('two nodes', measured.pairTwo, 0.99, { target: { absolute: 20 } }),
  ]
}

/** As a load balancer would: every node gets its share of the senders. */
async function sendToAll(services: Service[], seconds: number) {
  const share = CONNECTIONS / services.length
  const recipients = { first: CONNECTIONS, last: ACCOUNTS - 1 - 2 * CONNECTIONS }
  const sendings = services.map(({ url }, index) =>
    sendAll({ url, senders: people(index * share, share), recipients, seconds }),
  )
  const sent = await Promise.all(sendings)
  const sum = (key: 'accepted' | 'perSecond') => sent.reduce((total, part) => total + part[key], 0)
  return { accepted: sum('accepted'), perSecond: sum('perSecond') }
}
