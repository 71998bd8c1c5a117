import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTurn, percentiles, rowOf, type Scenario } from '../support/measure.ts'
import { named, people, person } from '../support/people.ts'
import { close, type Poller, park, wake } from '../support/polls.ts'
import { COLLECTING, type Service, startFloor, startServer } from '../support/processes.ts'
import { grouped } from '../support/report.ts'
import { seed, verifyStore } from '../support/store.ts'

/** A round takes minutes. */
const ROUNDS_MAX = 3

/** Few, because the measured polls reuse the memory that these leave behind. */
const WARM_UP_POLLS = 50

/** The memory of a parked poll, and how fast one among many is woken. */
export const parked: Scenario = async (bench) => {
  const levels = [bench.size(1_000, 100), bench.size(10_000, 500), bench.size(19_000, 1_000)]
  const most = Math.max(...levels)
  const wakes = bench.size(1_000, 100)
  const template = join(bench.folder, 'parked.db')
  await seed(template, most + 1)

  /** Parks more polls at each level, and wakes some of them. The last person is the sender. */
  const parkAndWake = async (service: Service, messages: number, personOf = person) => {
    const everybody = people(0, most).map((_, index) => personOf(index))
    const parkSome = (from: number, to: number) => park(service, everybody.slice(from, to), personOf(most))
    // The first polls load and compile code, which must not count for later ones.
    const first = await parkSome(0, WARM_UP_POLLS)
    await wake(service, first, messages)
    close(first)
    const idleBytes = await service.heldBytes()
    const pollers: Poller[] = []
    const measured: { kilobytes: number; latencies: number[] }[] = []
    for (const count of levels) {
      pollers.push(...(await parkSome(pollers.length, count)))
      const kilobytes = ((await service.heldBytes()) - idleBytes) / count / 1_024
      measured.push({ kilobytes, latencies: await wake(service, pollers, messages) })
    }
    close(pollers)
    await service.stop()
    return measured
  }
  const { ours, node, broker } = await inTurn(Math.min(bench.rounds, ROUNDS_MAX), {
    ours: async () => {
      const file = join(bench.folder, 'parked-round.db')
      copyFileSync(template, file)
      const round = await parkAndWake(await startServer(file, COLLECTING), wakes)
      await verifyStore(file, (1 + levels.length) * wakes)
      return round
    },
    // This floor only holds requests, so none can be woken.
    node: async () => parkAndWake(await startFloor('parked', COLLECTING), 0),
    broker: async () => parkAndWake(await startFloor('broker', COLLECTING), wakes, named),
  })

  return levels.flatMap((polls, level) => {
    const at = (rounds: typeof ours) => rounds.flatMap((round) => round[level] ?? [])
    const kilobytes = (rounds: typeof ours) => at(rounds).map((round) => round.kilobytes)
    const wakings = (rounds: typeof ours) => at(rounds).map(({ latencies }) => latencies)
    const what = `memory of a parked poll, ${grouped(polls)} parked`
    const target = level > 0 && { target: { ratio: 1.3 } }
    const woken = (share: number, target = {}) => {
      const described = { what: `waking one of ${grouped(polls)}, p${100 * share}`, unit: 'ms' } as const
      const [here, there] = [ours, broker].map((rounds) => percentiles(wakings(rounds), share))
      return rowOf(
        { ...described, floorIs: 'node:http broker in memory', ...target },
        here ?? [],
        there ?? [],
      )
    }
    const memory = { what, floorIs: 'node:http response, held', unit: 'kB', ...target } as const
    return [
      rowOf(memory, kilobytes(ours), kilobytes(node)),
      woken(0.5),
      woken(0.99, { target: { absolute: 20 } }),
    ]
  })
}
