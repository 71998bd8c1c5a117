/** Runs all static checks of the code. Prints one line if they pass. */
import { main, run } from './run.mjs'

const CHECKS = [
  'biome ci --error-on-warnings --colors=off',
  // With one thread each takes two thirds of the processor time: the other tools run beside it.
  'tsc --singleThreaded',
  'tsc --singleThreaded -p web',
  'tsc --singleThreaded -p web/tsconfig.worker.json',
  'redocly lint',
  'spectral lint openapi.yaml --fail-severity=hint --quiet',
  'knip --no-progress',
]

await main(async () => {
  await run('node scripts/generate.mjs --if-stale')
  const started = performance.now()
  const results = await Promise.allSettled(CHECKS.map((command) => run(command)))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.message] : []))
  if (failures.length > 0) throw new Error(failures.join('\n'))
  const tools = [...new Set(CHECKS.map((command) => command.split(' ')[0]))]
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  console.log(`Checked in ${seconds} s: ${tools.join(', ')}.`)
})
