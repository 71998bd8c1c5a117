/** The benchmark in its short form: shows that everything works; its figures mean nothing. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { runScript } from '../support/scripts.ts'

it('npm run bench -- --quick measures every scenario', async (t) => {
  const { code, output } = await runScript(t, ['--import', 'tsx', 'bench/run.ts', '--quick'])

  assert.equal(code, 0, output)
  const [, file = ''] = /^Wrote (\S+\.json) /m.exec(output) ?? []
  const { scenarios } = JSON.parse(readFileSync(file, 'utf8'))
  const names = readdirSync('bench/scenarios').map((name) => name.replace('.ts', ''))
  assert.deepEqual(Object.keys(scenarios).sort(), names.sort())
  for (const name of names) assert.ok(scenarios[name].rows.length > 0, name)
})
