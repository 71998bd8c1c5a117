import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { sendAll } from '../support/load.ts'
import { inTurn, median, rowOf, type Scenario } from '../support/measure.ts'
import { people } from '../support/people.ts'
import { type Service, startFloor, startServer } from '../support/processes.ts'
import { seed, verifyStore } from '../support/store.ts'

const SENDERS = people(0, 64)

/** Durable sends to offline recipients, beside a route that stores nothing. */
export const send: Scenario = async (bench) => {
  const accounts = bench.size(10_000, 1_000)
  const drive = ({ url }: Service, seconds = bench.seconds) =>
    sendAll(url, SENDERS, [SENDERS.length, accounts - 1], seconds)

  const template = join(bench.folder, 'send.db')
  await seed(template, accounts)
  const [fastify, canned] = [await startFloor('bare-fastify'), await startFloor('canned')]
  await drive(fastify, bench.warmUpSeconds)

  const cores: number[] = []
  const measured = await inTurn(bench.rounds, {
    ours: async () => {
      const file = join(bench.folder, 'send-round.db')
      copyFileSync(template, file)
      const server = await startServer(file)
      const warmUp = await drive(server, bench.warmUpSeconds)
      const before = server.cpuSeconds()
      const sent = await drive(server)
      cores.push((server.cpuSeconds() - before) / bench.seconds)
      await server.stop()
      await verifyStore(file, warmUp.accepted + sent.accepted, 2 * SENDERS.length)
      return sent
    },
    bare: () => drive(fastify),
    canned: () => drive(canned),
  })
  await Promise.all([fastify.stop(), canned.stop()])

  const of = (key: 'perSecond' | 'p99Ms', sent: typeof measured.ours) => sent.map((round) => round[key])
  const { ours, bare } = measured
  const floorIs = 'bare Fastify, stores nothing'
  const note = `the server used ${median(cores).toFixed(2)} cores`
  const sends = { what: 'durable sends, 64 connections, recipients away', unit: 'messages/s', note } as const
  const p99 = { what: 'durable sends, 64 connections, p99', floorIs, unit: 'ms' } as const
  const generator = { what: 'the load generator with canned answers', floorIs, unit: 'messages/s' } as const
  return [
    rowOf({ ...sends, floorIs, target: { ratio: 0.8 } }, of('perSecond', ours), of('perSecond', bare)),
    rowOf(p99, of('p99Ms', ours), of('p99Ms', bare)),
    rowOf(generator, of('perSecond', measured.canned), of('perSecond', bare)),
  ]
}
