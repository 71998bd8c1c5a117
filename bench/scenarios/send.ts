import { join } from 'node:path'
import type { Scenario } from '../support/bench.ts'
import { Connection, expectStatus } from '../support/connection.ts'
import { generator, type Sent, sendAll } from '../support/load.ts'
import { people, usernameOf } from '../support/people.ts'
import type { Service } from '../support/processes.ts'
import { sendText } from '../support/requests.ts'
import { inTurn, rowOf } from '../support/rows.ts'
import { median } from '../support/stats.ts'
import { copyOf, seed, verifyStore } from '../support/store.ts'

const CONNECTIONS = 64
const SENDERS = people(0, CONNECTIONS)

/** After each round so many are sent whose ids are kept and looked for in the store. */
const CHECKED_SENDS = 10

/** Durable sends to people who are away, beside a route that stores nothing. */
export const send: Scenario = async (bench) => {
  const accounts = bench.size(10_000, 1_000)
  const recipients = { first: CONNECTIONS, last: accounts - 1 }
  const drive = ({ url }: Service, seconds: number) =>
    sendAll({ url, senders: SENDERS, recipients, seconds, connections: CONNECTIONS }, bench.folder)

  const template = join(bench.folder, 'send.db')
  await seed(bench.processes, template, { accounts })
  const [floor, canned] = [await bench.processes.floor('bare-fastify'), await bench.processes.floor('canned')]
  await drive(floor, bench.warmUpSeconds)

  const cores: number[] = []
  const measured = await inTurn(bench.rounds, {
    ours: async () => {
      const file = copyOf(template, join(bench.folder, 'send-round.db'))
      const server = await bench.processes.server(file)
      const warmUp = await drive(server, bench.warmUpSeconds)
      const before = server.cpuSeconds()
      const sent = await drive(server, bench.seconds)
      cores.push((server.cpuSeconds() - before) / bench.seconds)
      const ids = await checkedSends(server)
      await server.stop()
      const accepted = warmUp.accepted + sent.accepted + ids.length
      verifyStore(file, { accepted, unheardMax: 2 * CONNECTIONS, ids })
      return sent
    },
    floor: () => drive(floor, bench.seconds),
    canned: () => drive(canned, Math.min(bench.seconds, 3)),
  })
  await Promise.all([floor.stop(), canned.stop()])

  const rates = (sent: Sent[]) => sent.map(({ perSecond }) => perSecond)
  const p99s = (sent: Sent[]) => sent.map(({ p99Ms }) => p99Ms)
  const [ours, bare] = [rates(measured.ours), rates(measured.floor)]
  return {
    rows: [
      rowOf(
        {
          what: 'durable sends, 64 connections, recipients away',
          floorIs: 'bare Fastify, stores nothing',
          unit: 'messages/s',
          better: 'more',
          target: { ratio: 0.8 },
          note: `the server used ${median(cores).toFixed(2)} cores`,
        },
        ours,
        bare,
      ),
      rowOf(
        {
          what: 'durable sends, 64 connections, p99',
          floorIs: 'bare Fastify, stores nothing',
          unit: 'ms',
          better: 'less',
        },
        p99s(measured.ours),
        p99s(measured.floor),
      ),
    ],
    generator: {
      tool: generator,
      ceiling: median(rates(measured.canned)),
      fastest: Math.max(median(ours), median(bare)),
    },
  }
}

/** @returns the ids that the answers told */
async function checkedSends({ url }: Service): Promise<string[]> {
  const sent = SENDERS.map(async (sender, index) => {
    const connection = await Connection.open(url)
    const ids: string[] = []
    for (let turn = 0; turn < CHECKED_SENDS; turn += 1) {
      const answer = await connection.request(sendText(sender, usernameOf(CONNECTIONS + index)))
      expectStatus(answer, 201)
      ids.push((JSON.parse(answer.body.toString()) as { id: string }).id)
    }
    connection.close()
    return ids
  })
  return (await Promise.all(sent)).flat()
}
