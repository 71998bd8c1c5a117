import { join } from 'node:path'
import type { Scenario } from '../support/bench.ts'
import { sendAll } from '../support/load.ts'
import { syncMs } from '../support/machine.ts'
import { Exchange, type Exchanged, type Pair } from '../support/pairs.ts'
import { named, type Person, people, person } from '../support/people.ts'
import { inTurn, type Row, rowOf } from '../support/rows.ts'
import { median, percentile } from '../support/stats.ts'
import { seed, verifyStore } from '../support/store.ts'

const SENDERS = people(0, 64)
const PAIRS = [1, 64, 512] as const

/** From the send to the answered poll: one pair for the latency, many for the throughput. */
export const roundtrip: Scenario = async (bench) => {
  const accounts = 2 * PAIRS.reduce((sum, count) => sum + count, 0)
  const file = join(bench.folder, 'roundtrip.db')
  await seed(bench.processes, file, { accounts })
  const server = await bench.processes.server(file)
  const broker = await bench.processes.floor('broker')
  const fastify = await bench.processes.floor('bare-fastify')

  const ours = exchangesOf(server.url, person)
  const floor = exchangesOf(broker.url, named)
  let accepted = 0
  const exchange = async (pairs: Exchange, seconds = bench.seconds) => {
    const exchanged = await pairs.run(seconds)
    if (Object.values(ours).includes(pairs)) accepted += exchanged.messages
    return exchanged
  }
  const bareSends = async (seconds = bench.seconds) => {
    const recipients = { first: SENDERS.length, last: accounts - 1 }
    const sending = { url: fastify.url, senders: SENDERS, recipients, seconds, connections: SENDERS.length }
    return (await sendAll(sending, bench.folder)).perSecond
  }

  await bareSends(bench.warmUpSeconds)
  for (const pairs of [...Object.values(ours), ...Object.values(floor)])
    await exchange(pairs, bench.warmUpSeconds)
  const measured = await inTurn(bench.rounds, {
    ours1: () => exchange(ours[1]),
    broker1: () => exchange(floor[1]),
    synced: async () => syncMs(bench.folder),
    ours64: () => exchange(ours[64]),
    broker64: () => exchange(floor[64]),
    ours512: () => exchange(ours[512]),
    broker512: () => exchange(floor[512]),
    bareSends: () => bareSends(),
  })

  await Promise.all([server.stop(), broker.stop(), fastify.stop()])
  verifyStore(file, { accepted })

  const halves = measured.bareSends.map((perSecond) => perSecond / 2)
  const rates = (exchanged: Exchanged[]) => exchanged.map(({ perSecond }) => perSecond)
  const latencyRow = (share: number, target?: Row['target']) =>
    rowOf(
      {
        what: `send to answered poll, one pair, p${100 * share}`,
        floorIs: 'node:http broker in memory, and a synced write of 4 KiB',
        unit: 'ms',
        better: 'less',
        note: `the write alone ${median(measured.synced).toFixed(2)} ms`,
        ...(target && { target }),
      },
      latenciesAt(measured.ours1, share),
      latenciesAt(measured.broker1, share).map((ms, round) => ms + (measured.synced[round] ?? 0)),
    )
  const throughputRow = (count: number, exchanged: Exchanged[]) =>
    rowOf(
      {
        what: `messages end to end, ${count} pairs`,
        floorIs: 'half the sends of bare Fastify',
        unit: 'messages/s',
        better: 'more',
        target: { ratio: 0.8 },
        note: `p50 ${median(latenciesAt(exchanged, 0.5)).toFixed(1)} ms, p99 ${median(latenciesAt(exchanged, 0.99)).toFixed(1)} ms`,
      },
      rates(exchanged),
      halves,
    )
  return {
    rows: [
      latencyRow(0.5, { ratio: 1.3 }),
      latencyRow(0.99),
      throughputRow(64, measured.ours64),
      throughputRow(512, measured.ours512),
    ],
    // The same client with the broker: the most that it is known to drive.
    generator: {
      tool: 'own client, with the broker',
      ceiling: Math.max(median(rates(measured.broker64)), median(rates(measured.broker512))),
      fastest: Math.max(median(rates(measured.ours64)), median(rates(measured.ours512))),
    },
  }
}

type Exchanges = Record<(typeof PAIRS)[number], Exchange>

/** Everybody is in one pair only. */
function exchangesOf(url: string, who: (index: number) => Person): Exchanges {
  let next = 0
  const exchange = (count: number) => {
    const pairs = Array.from({ length: count }, (): Pair => {
      next += 2
      return { sender: who(next - 2), receiver: who(next - 1) }
    })
    return new Exchange(url, pairs)
  }
  return { 1: exchange(1), 64: exchange(64), 512: exchange(512) }
}

const latenciesAt = (exchanged: Exchanged[], share: number) =>
  exchanged.map(({ latencies }) => percentile(latencies, share))
