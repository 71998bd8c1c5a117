/** The benchmark in its short form: it shows that all of it works, and its figures mean nothing. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { it } from 'node:test'
import { runScript } from '../support/scripts.ts'

it('npm run bench -- --quick measures every scenario', async (t) => {
  const { code, output } = await runScript(t, ['--import', 'tsx', 'bench/run.ts', '--quick'])

  assert.equal(code, 0, output)
  const scenarios = readdirSync('bench/scenarios')
  assert.ok(scenarios.length > 0)
  for (const file of scenarios) assert.match(output, new RegExp(`\\b${file.replace('.ts', '')}\\b`))
})
