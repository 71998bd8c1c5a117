/**
 * Runs the fault suite for a given time:
 *
 *   npm run test:faults -- --minutes 30 [--seed N]
 */
import { parseArgs } from 'node:util'
import { report } from './report.ts'
import { runFaults } from './suite.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes ?? 30)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)

const endings: (() => unknown)[] = []
console.log(`npm run test:faults -- --minutes ${minutes} --seed ${seed}`)
try {
  const verdict = await runFaults({ after: (end) => endings.push(end as () => unknown) }, minutes, seed)
  console.log(report(verdict))
  if (verdict.violations.length > 0) process.exitCode = 1
} finally {
  for (const end of endings.reverse()) await end()
}
