import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTurn, percentiles, rowOf, type Scenario } from '../support/measure.ts'
import { named, people, person } from '../support/people.ts'
import { close, park, wake } from '../support/polls.ts'
import { COLLECTING, type Service, startFloor, startServer } from '../support/processes.ts'
import { grouped } from '../support/report.ts'
import { seed, verifyStore } from '../support/store.ts'

/** A round takes minutes. */
const ROUNDS_MAX = 3

/** Few, because the memory that they leave behind is used again by the polls that are measured. */
const WARM_UP_POLLS = 50

/** The memory of a parked poll, and how fast one among many is woken. */
export const parked: Scenario = async (bench) => {
  const levels = [bench.size(1_000, 100), bench.size(10_000, 500), bench.size(19_000, 1_000)]
  const sender = Math.max(...levels)
  const wakes = bench.size(1_000, 100)
  const template = join(bench.folder, 'parked.db')
  await seed(template, sender + 1)

  /** Parks more and more polls, and wakes some of them each time. */
  const parkAndWake = async (service: Service, messages: number, everybody = people(0, sender + 1)) => {
    const wakeSome = (pollers: Awaited<ReturnType<typeof park>>) =>
      wake(pollers, everybody[sender] ?? person(sender), messages, service.url)
    // What is loaded or compiled for the first polls is no part of later ones.
    const first = await park(service, everybody.slice(0, WARM_UP_POLLS))
    await wakeSome(first)
    close(first)
    const idleBytes = await service.heldBytes()
    const pollers: typeof first = []
    const measured: { kilobytes: number; latencies: number[] }[] = []
    for (const count of levels) {
      pollers.push(...(await park(service, everybody.slice(pollers.length, count))))
      const kilobytes = ((await service.heldBytes()) - idleBytes) / count / 1_024
      measured.push({ kilobytes, latencies: await wakeSome(pollers) })
    }
    close(pollers)
    await service.stop()
    return measured
  }
  const measured = await inTurn(Math.min(bench.rounds, ROUNDS_MAX), {
    ours: async () => {
      const file = join(bench.folder, 'parked-round.db')
      copyFileSync(template, file)
      const round = await parkAndWake(await startServer(file, COLLECTING), wakes)
      await verifyStore(file, (1 + levels.length) * wakes)
      return round
    },
    // It only holds requests, so none can be woken there.
    node: async () => parkAndWake(await startFloor('parked', COLLECTING), 0),
    broker: async () =>
      parkAndWake(
        await startFloor('broker', COLLECTING),
        wakes,
        Array.from({ length: sender + 1 }, (_, index) => named(index)),
      ),
  })

  return levels.flatMap((polls, level) => {
    const kilobytes = (of: 'ours' | 'node') =>
      measured[of].map((round) => round[level]?.kilobytes ?? Number.NaN)
    const latencies = (of: 'ours' | 'broker', share: number) =>
      percentiles(
        measured[of].map((round) => round[level]?.latencies ?? []),
        share,
      )
    const what = `waking one of ${grouped(polls)}`
    const woken = { floorIs: 'node:http broker in memory', unit: 'ms' } as const
    const ratio = level > 0 && { target: { ratio: 1.3 } }
    const memory = { floorIs: 'node:http response, held', unit: 'kB', ...ratio } as const
    const p99 = { what: `${what}, p99`, ...woken, target: { absolute: 20 } }
    return [
      rowOf(
        { what: `memory of a parked poll, ${grouped(polls)} parked`, ...memory },
        kilobytes('ours'),
        kilobytes('node'),
      ),
      rowOf({ what: `${what}, p50`, ...woken }, latencies('ours', 0.5), latencies('broker', 0.5)),
      rowOf(p99, latencies('ours', 0.99), latencies('broker', 0.99)),
    ]
  })
}
