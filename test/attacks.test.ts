import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Attacker } from './attacks/attacker.ts'
import { areBack, canSeeHoldings, Gauges, holdingsOf } from './attacks/gauges.ts'
import { NormalClient } from './attacks/normal-client.ts'
import { run } from './attacks/run.ts'
import { shapes } from './attacks/shapes.ts'
import { summaryOf } from './attacks/table.ts'
import { createWorld } from './attacks/world.ts'
import { endOfSuite } from './support/endings.ts'
import { eventually } from './support/eventually.ts'

const MIB = 1_048_576

/** After a second of attack, the memory of a formerly idle process fluctuates by itself. */
const MEMORY_SLACK_BYTES = 160 * MIB

/** A connection that is not being read ends when its next answer cannot be written. */
const BACK_MS_MAX = 120_000

const SHORT = { connections: 'short', aloneMs: 200, attackMs: 400, backMsMax: 0 } as const

describe('beside an attacker', () => {
  const ending = endOfSuite()
  const scene = startScene()

  async function startScene() {
    const [world, attacker] = await Promise.all([
      // So few that one attacker could take all of them.
      createWorld(ending, { CONNECTIONS_MAX: '1200' }),
      Attacker.start(ending),
    ])
    const pid = world.server.process.pid ?? 0
    const normal = new NormalClient(ending, world.ada, world.bob)
    return { world, attacker, normal, gauges: new Gauges(ending, world.server), pid }
  }

  for (const shape of shapes) {
    it(`normal clients are not refused, and the resources come back: ${shape.title}`, async (t) => {
      const { pid, ...others } = await scene
      const outcome = await run(others, shape, SHORT)
      t.diagnostic(summaryOf(outcome))

      const { before, peak } = outcome.holdings
      assert.deepEqual([...outcome.attacked.failures, ...outcome.besides], [])
      assert.equal(others.world.server.process.exitCode, null, 'The process lives.')
      await shape.assertBounded?.(outcome, others.world)
      if (!canSeeHoldings) return
      assert.ok(peak.memoryBytes < before.memoryBytes + MEMORY_SLACK_BYTES, 'It takes little memory.')
      await eventually('the descriptors come back', () => areBack(holdingsOf(pid), before), BACK_MS_MAX)
    })
  }
})
