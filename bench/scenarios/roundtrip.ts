import { join } from 'node:path'
import { sendAll } from '../support/load.ts'
import { syncMs } from '../support/machine.ts'
import { inTurn, median, percentiles, rowOf, type Scenario } from '../support/measure.ts'
import { named, people } from '../support/people.ts'
import { type Exchanged, exchange, pairsOf } from '../support/polls.ts'
import { startFloor, startServer } from '../support/processes.ts'
import { seed, verifyStore } from '../support/store.ts'

const SENDERS = people(0, 64)
const PEOPLE = people(0, 2 * (1 + 64 + 512))

/** From the send to the answered poll: one pair for the latency, many for the throughput. */
export const roundtrip: Scenario = async (bench) => {
  const file = join(bench.folder, 'roundtrip.db')
  await seed(file, PEOPLE.length)
  const [server, broker] = [await startServer(file), await startFloor('broker')]
  const fastify = await startFloor('bare-fastify')

  const all = pairsOf(PEOPLE)
  const ours = { 1: all.slice(0, 1), 64: all.slice(1, 65), 512: all.slice(65) }
  const brokers = pairsOf(PEOPLE.map((_, index) => named(index)))
  let accepted = 0
  const exchangeOurs = async (pairs: 1 | 64 | 512, seconds = bench.seconds) => {
    const exchanged = await exchange(ours[pairs], seconds, server.url)
    accepted += exchanged.latencies.length
    return exchanged
  }
  const halfOfSends = async (seconds = bench.seconds) => {
    const recipients: [number, number] = [SENDERS.length, PEOPLE.length - 1]
    return (await sendAll(fastify.url, SENDERS, recipients, seconds)).perSecond / 2
  }
  await halfOfSends(bench.warmUpSeconds)
  for (const pairs of [1, 64, 512] as const) await exchangeOurs(pairs, bench.warmUpSeconds)
  await exchange(brokers, bench.warmUpSeconds, broker.url)
  const measured = await inTurn(bench.rounds, {
    ours1: () => exchangeOurs(1),
    broker1: () => exchange(brokers.slice(0, 1), bench.seconds, broker.url),
    synced: async () => syncMs(bench.folder),
    ours64: () => exchangeOurs(64),
    broker64: () => exchange(brokers.slice(1, 65), bench.seconds, broker.url),
    ours512: () => exchangeOurs(512),
    halves: () => halfOfSends(),
  })
  await Promise.all([server.stop(), broker.stop(), fastify.stop()])
  await verifyStore(file, accepted)

  const [ours64, ours512, broker64] = [measured.ours64, measured.ours512, measured.broker64]
  const writeMs = median(measured.synced).toFixed(2)
  const onePair = (share: number) => {
    const floors = at(measured.broker1, share).map((ms, round) => ms + (measured.synced[round] ?? 0))
    const what = `send to answered poll, one pair, p${100 * share}`
    const floorIs = 'node:http broker in memory, and a synced write of 4 KiB'
    const target = share === 0.5 && { target: { ratio: 1.3 } }
    const note = `the write alone ${writeMs} ms`
    return rowOf({ what, floorIs, unit: 'ms', note, ...target }, at(measured.ours1, share), floors)
  }
  const manyPairs = (pairs: number, exchanged: Exchanged[]) => {
    const [p50, p99] = [0.5, 0.99].map((share) => median(at(exchanged, share)).toFixed(1))
    const described = { what: `messages end to end, ${pairs} pairs`, note: `p50 ${p50} ms, p99 ${p99} ms` }
    const floor = { floorIs: 'half the sends of bare Fastify', target: { ratio: 0.8 } }
    return rowOf({ ...described, ...floor, unit: 'messages/s' }, rates(exchanged), measured.halves)
  }
  const client = { what: 'the client with the broker, 64 pairs', floorIs: 'the client with Restante' }
  return [
    onePair(0.5),
    onePair(0.99),
    manyPairs(64, ours64),
    manyPairs(512, ours512),
    rowOf({ ...client, unit: 'messages/s' }, rates(broker64), rates(ours64)),
  ]
}

const rates = (exchanged: Exchanged[]) => exchanged.map(({ perSecond }) => perSecond)
const at = (exchanged: Exchanged[], share: number) =>
  percentiles(
    exchanged.map(({ latencies }) => latencies),
    share,
  )
