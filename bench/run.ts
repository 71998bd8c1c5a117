/**
 * Measures the built server beside its floors: see README.md here.
 *
 *   npm run bench -- [SCENARIO …] [--quick] [--profile]
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { drain } from './scenarios/drain.ts'
import { login } from './scenarios/login.ts'
import { nodes } from './scenarios/nodes.ts'
import { parked } from './scenarios/parked.ts'
import { roundtrip } from './scenarios/roundtrip.ts'
import { scale } from './scenarios/scale.ts'
import { send } from './scenarios/send.ts'
import { start } from './scenarios/start.ts'
import type { Bench, Scenario } from './support/bench.ts'
import { chart } from './support/chart.ts'
import { describeMachine, refuseMemoryDisk } from './support/machine.ts'
import { Processes } from './support/processes.ts'
import { describeProfiles } from './support/profile.ts'
import { generatorLine, markdownTable, type Results, table } from './support/report.ts'

const scenarios: Record<string, Scenario> = { send, roundtrip, parked, drain, login, start, scale, nodes }

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, profile: { type: 'boolean', default: false } },
})
const names = positionals.length > 0 ? positionals : Object.keys(scenarios)
for (const name of names) {
  if (scenarios[name]) continue
  console.error(`There is no scenario ${name}. There are: ${Object.keys(scenarios).join(', ')}.`)
  process.exit(2)
}

const data = fileURLToPath(new URL('../data/', import.meta.url))
mkdirSync(data, { recursive: true })
const folder = mkdtempSync(join(data, 'bench-'))
const profiles = join(data, 'bench-profiles')
const serverFlags = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
const processes = new Processes(serverFlags)
process.once('exit', () => {
  processes.killAll()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

refuseMemoryDisk(folder)
const machine = describeMachine(folder)
console.log(`${machine}\n`)

const bench: Bench = {
  folder,
  processes,
  // A profile of one long round says more than one of many.
  rounds: options.profile || options.quick ? 1 : 5,
  seconds: options.quick ? 1 : 5,
  warmUpSeconds: options.quick ? 1 : 3,
  size: (full, quick) => (options.quick ? quick : full),
}

// A short run shows that all of it works; what it measures is not worth keeping.
const kept = !options.quick && !options.profile
const output = kept ? fileURLToPath(new URL('results', import.meta.url)) : join(data, 'bench-results')
const measured: Results['scenarios'] = {}
for (const name of names) {
  rmSync(profiles, { recursive: true, force: true })
  const { rows, generator } = await (scenarios[name] as Scenario)(bench)
  const result = { measuredAt: new Date().toISOString(), machine, rows, ...(generator && { generator }) }
  measured[name] = result
  console.log(`${table({ scenarios: { [name]: result } })}\n`)
  if (generator) console.log(`${generatorLine(name, generator)}\n`)
  if (options.profile) console.log(`${describeProfiles(profiles)}\n`)
}

const results = withKnown(measured)
const all = Object.values(results.scenarios).flatMap(({ rows }) => rows)
writeFileSync(`${output}.json`, `${JSON.stringify(results, null, 2)}\n`)
writeFileSync(`${output}.svg`, chart(all))
if (kept) intoReadme(markdownTable(results))
if (names.length > 1) console.log(table({ scenarios: measured }))
console.log(`Wrote ${output}.json and ${output}.svg.`)
process.exit()

/** Scenarios that were not measured now keep their results. */
function withKnown(now: Results['scenarios']): Results {
  const file = `${output}.json`
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results).scenarios : {}
  const entries = Object.keys(scenarios).map((name) => [name, now[name] ?? known[name]] as const)
  return { scenarios: Object.fromEntries(entries.filter(([, result]) => result)) as Results['scenarios'] }
}

/** Puts the table where the one of the last run was. */
function intoReadme(markdown: string) {
  const readme = new URL('README.md', import.meta.url)
  const around = /(?<=<!-- npm run bench -->\n)[\s\S]*(?=<!-- end -->)/
  writeFileSync(readme, readFileSync(readme, 'utf8').replace(around, `\n${markdown}\n\n`))
}
