/**
 * All attacks in full length, each against a server of its own. Prints the table of docs/security.md, so the
 * machine should be otherwise idle. ATTACKS selects some by name.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { Attacker } from '../attacks/attacker.ts'
import { Gauges } from '../attacks/gauges.ts'
import { NormalClient } from '../attacks/normal-client.ts'
import { type Outcome, run } from '../attacks/run.ts'
import { shapes } from '../attacks/shapes.ts'
import { attackTable, missesOf, summaryOf } from '../attacks/table.ts'
import { createWorld } from '../attacks/world.ts'

const LONG = { connections: 'long', aloneMs: 10_000, attackMs: 30_000, backMsMax: 60_000 } as const

const chosen = process.env['ATTACKS']?.split(',')

describe('beside an attacker, a normal client is served as if alone, and all resources come back within a minute', () => {
  const outcomes: Outcome[] = []
  after(() => console.log(`\n${attackTable(outcomes)}\n`))

  for (const shape of shapes.filter(({ name }) => chosen?.includes(name) ?? true)) {
    it(shape.title, async (t) => {
      const [world, attacker] = await Promise.all([createWorld(t, shape.env), Attacker.start(t)])
      const normal = new NormalClient(t, world.ada, world.bob)
      const gauges = new Gauges(t, world.server)
      const outcome = await run({ world, attacker, normal, gauges }, shape, LONG)
      outcomes.push(outcome)
      t.diagnostic(summaryOf(outcome))

      assert.equal(world.server.process.exitCode, null, 'The process lives.')
      await shape.assertBounded?.(outcome, world)
      assert.deepEqual(missesOf(outcome), [])
    })
  }
})
