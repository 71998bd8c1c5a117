import { setTimeout as pause } from 'node:timers/promises'
import type { Attacker } from './attacker.ts'
import { areBack, type Gauges, type Holdings, heldBy, holdingsOf } from './gauges.ts'
import { type Experience, type NormalClient, percentile } from './normal-client.ts'
import type { Shape } from './shapes.ts'
import type { Counts } from './wire.ts'
import { diskBytes, type World } from './world.ts'

export interface Outcome {
  shape: Shape
  counts: Counts
  alone: Experience
  attacked: Experience
  /** Further failures. */
  besides: string[]
  holdings: Record<'before' | 'peak' | 'after', Holdings>
  /** The time until memory and descriptors were back within 10 %; undefined if they were not in time. */
  backAfterMs: number | undefined
  /** The times of `GET /healthz` over new connections. */
  healthP99Ms: Record<'before' | 'during' | 'after', number>
  diskGrowthBytes: number
}

/** The duration of each part. */
export interface Lengths {
  connections: 'long' | 'short'
  aloneMs: number
  /** Longer if the actions beside the attack take longer. */
  attackMs: number
  /** The time for memory and descriptors to come back; 0 to skip the wait and the garbage collection. */
  backMsMax: number
}

/** "Back within 10 %." */
const BACK = 1.1

interface Scene {
  world: World
  attacker: Attacker
  normal: NormalClient
  gauges: Gauges
}

/** Runs an attack beside a normal client. */
export async function run(
  { world, attacker, normal, gauges }: Scene,
  shape: Shape,
  lengths: Lengths,
): Promise<Outcome> {
  const pid = world.server.process.pid ?? 0
  await shape.prepare?.(world)
  await normal.takeExperience()
  gauges.takeSeen()
  await pause(lengths.aloneMs)
  const alone = await normal.takeExperience()
  const seenBefore = gauges.takeSeen()
  const before = lengths.backMsMax > 0 ? await heldBy(pid) : holdingsOf(pid)
  const diskBefore = diskBytes(world)

  const target = world.target(shape.connections[lengths.connections], !shape.proxied)
  attacker.begin(shape.name, target)
  const [besides = []] = await Promise.all([shape.beside?.(world, lengths.attackMs), pause(lengths.attackMs)])
  const counts = await attacker.end()
  const attacked = await normal.takeExperience()
  const seen = gauges.takeSeen()

  const backAfterMs = await comeBack(pid, before, lengths.backMsMax)
  const seenAfter = gauges.takeSeen()
  const failures = [...attacked.failures, ...seen.failures, ...seenAfter.failures]
  return {
    shape,
    counts,
    alone,
    attacked: { ...attacked, failures },
    besides,
    holdings: { before, peak: seen.peak, after: holdingsOf(pid) },
    backAfterMs,
    healthP99Ms: {
      before: percentile(seenBefore.healthMs, 0.99),
      during: percentile(seen.healthMs, 0.99),
      after: percentile(seenAfter.healthMs, 0.99),
    },
    diskGrowthBytes: diskBytes(world) - diskBefore,
  }
}

async function comeBack(pid: number, before: Holdings, msMax: number): Promise<number | undefined> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < msMax) {
    const now = await heldBy(pid)
    if (now.memoryBytes <= before.memoryBytes * BACK && areBack(now, before))
      return performance.now() - startedMs
  }
  return undefined
}
