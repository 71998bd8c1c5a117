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

/** One, two and four nodes on one PostgreSQL, beside one node on its SQLite file. */
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
  // The last people get no other messages.
  const [lone, pair] = [pairsOf(people(ACCOUNTS - 4, 2)), pairsOf(people(ACCOUNTS - 2, 2))]
  const passAlone = async (seconds = bench.seconds) => (await exchange(lone, seconds, alone.url)).latencies
  const passOver = async (seconds = bench.seconds) => {
    const { latencies } = await exchange(pair, seconds, first.url, second.url)
    accepted += latencies.length
    return latencies
  }

  await load([alone], bench.warmUpSeconds)
  await load(four, bench.warmUpSeconds)
  await passAlone(bench.warmUpSeconds)
  await passOver(bench.warmUpSeconds)
  const measured = await inTurn(bench.rounds, {
    alone: () => load([alone]),
    nodes1: () => load([first]),
    nodes2: () => load([first, second]),
    nodes4: () => load(four),
    pairAlone: () => passAlone(),
    pairTwo: () => passOver(),
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
  const latencyAt = (share: number, target = {}) => {
    const what = `send to answered poll, one pair, two nodes, p${100 * share}`
    const [two, one] = [percentiles(measured.pairTwo, share), percentiles(measured.pairAlone, share)]
    return rowOf({ what, floorIs, unit: 'ms', ...target }, two, one)
  }
  return [...([1, 2, 4] as const).map(sendsOf), latencyAt(0.5), latencyAt(0.99, { target: { absolute: 20 } })]
}

/** Spreads the senders over the nodes, like a load balancer. */
async function sendToAll(services: Service[], seconds: number) {
  const share = CONNECTIONS / services.length
  const sendings = services.map(({ url }, index) => {
    const recipients: [number, number] = [CONNECTIONS, ACCOUNTS - 1 - 2 * CONNECTIONS]
    return sendAll(url, people(index * share, share), recipients, seconds)
  })
  const sent = await Promise.all(sendings)
  const sum = (key: 'accepted' | 'perSecond') => sent.reduce((total, part) => total + part[key], 0)
  return { accepted: sum('accepted'), perSecond: sum('perSecond') }
}
