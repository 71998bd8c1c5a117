import { join } from 'node:path'
import type { Bench, Scenario } from '../support/bench.ts'
import { idleAfterUse, ParkedPolls } from '../support/parked-polls.ts'
import { named, type Person, person } from '../support/people.ts'
import { COLLECTING, type Floor, type Service } from '../support/processes.ts'
import { grouped } from '../support/report.ts'
import { inTurn, type Row, rowOf } from '../support/rows.ts'
import { percentile } from '../support/stats.ts'
import { copyOf, seed, verifyStore } from '../support/store.ts'

/** A round takes minutes. */
const ROUNDS_MAX = 3

interface Parking {
  levels: number[]
  who: (index: number) => Person
  wakes: number
}

interface Level {
  bytesPerPoll: number
  latencies: number[]
}

/** What a poll that waits costs, and how fast one among many is found. */
export const parked: Scenario = async (bench) => {
  const levels = [bench.size(1_000, 100), bench.size(10_000, 500), bench.size(19_000, 1_000)]
  const most = Math.max(...levels)
  const template = join(bench.folder, 'parked.db')
  await seed(bench.processes, template, { accounts: most + 1 })

  const wakes = bench.size(1_000, 100)
  const measured = await inTurn(Math.min(bench.rounds, ROUNDS_MAX), {
    ours: async () => {
      const file = copyOf(template, join(bench.folder, 'parked-round.db'))
      const server = await bench.processes.server(file, {}, COLLECTING)
      const round = await parkAndWake(server, { levels, who: person, wakes })
      await server.stop()
      verifyStore(file, { accepted: (1 + levels.length) * wakes })
      return round
    },
    // It only holds requests, so nobody can be woken there.
    node: () => parkAtFloor(bench, 'parked', { levels, who: person, wakes: 0 }),
    broker: () => parkAtFloor(bench, 'broker', { levels, who: named, wakes }),
  })

  const at = (rounds: Level[][], level: number, value: (level: Level) => number) =>
    rounds.map((round) => value(round[level] as Level))
  return {
    rows: levels.flatMap((polls, level) => {
      const count = grouped(polls)
      const memory = rowOf(
        {
          what: `memory of a parked poll, ${count} parked`,
          floorIs: 'node:http response, held',
          unit: 'kB',
          better: 'less',
          ...(level > 0 && { target: { ratio: 1.3 } }),
        },
        at(measured.ours, level, ({ bytesPerPoll }) => bytesPerPoll / 1_024),
        at(measured.node, level, ({ bytesPerPoll }) => bytesPerPoll / 1_024),
      )
      const wake = (share: number): Row =>
        rowOf(
          {
            what: `waking one of ${count}, p${100 * share}`,
            floorIs: 'node:http broker in memory',
            unit: 'ms',
            better: 'less',
            ...(share === 0.99 && { target: { absolute: 20 } }),
          },
          at(measured.ours, level, ({ latencies }) => percentile(latencies, share)),
          at(measured.broker, level, ({ latencies }) => percentile(latencies, share)),
        )
      return [memory, wake(0.5), wake(0.99)]
    }),
  }
}

/** Parks more and more polls, and wakes some of them each time. The last of the people is the sender. */
async function parkAndWake(service: Service, { levels, who, wakes }: Parking): Promise<Level[]> {
  const sender = who(Math.max(...levels))
  const polls = new ParkedPolls(service.url)
  const idleBytes = await idleAfterUse(service, who, (few) => few.wake(sender, wakes))
  const measured: Level[] = []
  for (const count of levels) {
    await polls.add(Array.from({ length: count - polls.count }, (_, index) => who(polls.count + index)))
    await service.settled()
    const bytesPerPoll = ((await service.heldBytes()) - idleBytes) / count
    measured.push({ bytesPerPoll, latencies: await polls.wake(sender, wakes) })
  }
  polls.close()
  return measured
}

async function parkAtFloor({ processes }: Bench, name: Floor, parking: Parking): Promise<Level[]> {
  const floor = await processes.floor(name, COLLECTING)
  const measured = await parkAndWake(floor, parking)
  await floor.stop()
  return measured
}
