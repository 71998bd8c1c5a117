/**
 * Measures the built server beside its floors: see bench/README.md.
 *
 *   npm run bench -- [SCENARIO …] [--quick]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { drain } from './scenarios/drain.ts'
import { nodes } from './scenarios/nodes.ts'
import { parked } from './scenarios/parked.ts'
import { roundtrip } from './scenarios/roundtrip.ts'
import { scale } from './scenarios/scale.ts'
import { send } from './scenarios/send.ts'
import { start } from './scenarios/start.ts'
import { describeMachine, scratchFolder } from './support/machine.ts'
import type { Scenario } from './support/measure.ts'
import { markdownTable, type Results } from './support/report.ts'

const README = 'bench/README.md'

const scenarios: Record<string, Scenario> = { send, roundtrip, parked, drain, start, scale, nodes }

const options = { quick: { type: 'boolean', default: false } } as const
const { values, positionals } = parseArgs({ allowPositionals: true, options })
const unknown = positionals.find((name) => !scenarios[name])
if (unknown) {
  console.error(`There is no scenario ${unknown}. There are: ${Object.keys(scenarios).join(', ')}.`)
  process.exit(2)
}

const folder = scratchFolder()
const machine = describeMachine(folder)
console.log(`${machine}\n`)
const lengths = values.quick
  ? { rounds: 1, seconds: 1, warmUpSeconds: 1 }
  : { rounds: 5, seconds: 5, warmUpSeconds: 3 }
const bench = { folder, ...lengths, size: (full: number, quick: number) => (values.quick ? quick : full) }

// A short run only shows that everything works: its figures are not kept.
const file = values.quick ? 'data/bench-results.json' : 'bench/results.json'
const results: Results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { scenarios: {} }
for (const [name, scenario] of Object.entries(scenarios)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const result = { machine, rows: await scenario(bench), measuredAt: new Date().toISOString() }
  console.log(`${markdownTable({ scenarios: { [name]: result } }, true)}\n`)
  results.scenarios[name] = result
  // After each scenario, so that a run that breaks off keeps what it has measured.
  writeResults()
}
console.log(`Wrote ${file}.`)
process.exit()

function writeResults() {
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  if (values.quick) return
  const around = /(?<=<!-- npm run bench -->\n)[\s\S]*(?=<!-- end -->)/
  writeFileSync(README, readFileSync(README, 'utf8').replace(around, `\n${markdownTable(results)}\n\n`))
}
