import { join } from 'node:path'
import type { Bench, Scenario } from '../support/bench.ts'
import { generator, type Sent, sendAll } from '../support/load.ts'
import { Exchange } from '../support/pairs.ts'
import { people, person } from '../support/people.ts'
import { startPostgres } from '../support/postgres.ts'
import type { Service } from '../support/processes.ts'
import { inTurn, type Row, rowOf } from '../support/rows.ts'
import { median, percentile } from '../support/stats.ts'
import { seed } from '../support/store.ts'

const NODES = [1, 2, 4] as const
const CONNECTIONS = 64
const ACCOUNTS = 10_000

interface Loaded {
  perSecond: number
  /** Processor time of a message, of the nodes and of the database, in µs. */
  nodesUs: number
  databaseUs: number
}

/** One, two and four nodes over one PostgreSQL, beside one node on its SQLite file. */
export const nodes: Scenario = async (bench) => {
  const postgres = await startPostgres(bench.processes, ACCOUNTS)
  const file = join(bench.folder, 'nodes.db')
  await seed(bench.processes, file, { accounts: ACCOUNTS })
  const alone = await bench.processes.server(file)
  const canned = await bench.processes.floor('canned')
  const started: Service[] = []
  for (let index = 0; index < Math.max(...NODES); index += 1)
    started.push(await bench.processes.server(postgres.url))

  let accepted = 0
  const load = async (services: Service[], seconds = bench.seconds): Promise<Loaded> => {
    const cpu = () => services.reduce((sum, service) => sum + service.cpuSeconds(), 0)
    const before = { nodes: cpu(), database: postgres.cpuSeconds() }
    const sent = await sendToAll(bench, services, seconds)
    const messages = sent.reduce((sum, part) => sum + part.accepted, 0)
    if (services[0] !== alone) accepted += messages
    return {
      perSecond: sent.reduce((sum, part) => sum + part.perSecond, 0),
      nodesUs: (1e6 * (cpu() - before.nodes)) / messages,
      databaseUs: (1e6 * (postgres.cpuSeconds() - before.database)) / messages,
    }
  }
  const pairs = exchangesOf(alone, started)
  const latencies = async (exchange: Exchange, seconds = bench.seconds) => {
    const exchanged = await exchange.run(seconds)
    if (exchange !== pairs.alone) accepted += exchanged.messages
    return exchanged.latencies
  }

  await load([alone], bench.warmUpSeconds)
  await load(started, bench.warmUpSeconds)
  for (const exchange of Object.values(pairs)) await latencies(exchange, bench.warmUpSeconds)
  const measured = await inTurn(bench.rounds, {
    alone: () => load([alone]),
    nodes1: () => load(started.slice(0, 1)),
    nodes2: () => load(started.slice(0, 2)),
    nodes4: () => load(started.slice(0, 4)),
    pairAlone: () => latencies(pairs.alone),
    pair1: () => latencies(pairs.nodes1),
    pair2: () => latencies(pairs.nodes2),
    canned: () => sendToAll(bench, [canned], Math.min(bench.seconds, 3)),
  })
  await Promise.all([...started, alone, canned].map((service) => service.stop()))
  await postgres.verify(accepted, CONNECTIONS * NODES.length * (bench.rounds + 1))
  await postgres.stop()

  const floors = measured.alone.map(({ perSecond }) => perSecond)
  const sendsOf = (count: (typeof NODES)[number]) => {
    const loaded = measured[`nodes${count}`]
    const us = (of: 'nodesUs' | 'databaseUs') => Math.round(median(loaded.map((round) => round[of])))
    return rowOf(
      {
        what: `durable sends, 64 connections, ${count} ${count === 1 ? 'node' : 'nodes'} on PostgreSQL`,
        floorIs: 'one node on SQLite',
        unit: 'messages/s',
        better: 'more',
        note: `processor time of a message: nodes ${us('nodesUs')} µs, database ${us('databaseUs')} µs`,
      },
      loaded.map(({ perSecond }) => perSecond),
      floors,
    )
  }
  const latencyOf = (what: string, rounds: number[][], share: number, more: Pick<Row, 'target'> = {}) =>
    rowOf(
      {
        what: `send to answered poll, one pair, ${what}, p${100 * share}`,
        floorIs: 'one node on SQLite',
        unit: 'ms',
        better: 'less',
        ...more,
      },
      rounds.map((round) => percentile(round, share)),
      measured.pairAlone.map((round) => percentile(round, share)),
    )
  return {
    rows: [
      ...NODES.map(sendsOf),
      latencyOf('the same node', measured.pair1, 0.5),
      latencyOf('two nodes', measured.pair2, 0.5),
      latencyOf('two nodes', measured.pair2, 0.99, { target: { absolute: 20 } }),
    ],
    generator: {
      tool: generator,
      ceiling: median(measured.canned.map(([sent]) => sent?.perSecond ?? Number.NaN)),
      fastest: Math.max(...floors, ...measured.nodes4.map(({ perSecond }) => perSecond)),
    },
  }
}

/** As a load balancer would: every node gets its share of the senders. */
function sendToAll(bench: Bench, services: Service[], seconds: number): Promise<Sent[]> {
  const share = CONNECTIONS / services.length
  const recipients = { first: CONNECTIONS, last: ACCOUNTS - 1 - 2 * CONNECTIONS }
  const sendings = services.map(({ url }, index) => {
    const senders = people(index * share, share)
    return sendAll({ url, senders, recipients, seconds, connections: share }, bench.folder)
  })
  return Promise.all(sendings)
}

/** The last people, to whom nobody else sends: a pair at one node, and one whose receiver polls another. */
function exchangesOf(alone: Service, [first, second]: Service[]) {
  const exchange = (number: number, sendTo = alone, pollAt = sendTo) => {
    const index = ACCOUNTS - 1 - 2 * number
    return new Exchange(sendTo.url, [{ sender: person(index), receiver: person(index - 1) }], pollAt.url)
  }
  return { alone: exchange(0), nodes1: exchange(1, first), nodes2: exchange(2, first, second) }
}
