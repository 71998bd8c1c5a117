/** The alerts for Prometheus, in deploy/. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { load } from 'js-yaml'
import { noPromtool, promtool } from './support/metrics.ts'

describe('an alert', () => {
  const read = (path: string) => readFileSync(path, 'utf8')
  const names = [...read('deploy/alerts.yaml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name as string)

  it('is valid for Prometheus, quiet while all is well, and fires when it is not', {
    skip: noPromtool ?? false,
  }, () => {
    const { code, said } = promtool(['test', 'rules', 'deploy/alerts.test.yaml'])

    assert.equal(code, 0, said)
    const fired = [...read('deploy/alerts.test.yaml').matchAll(/alertname: (\w+)\n +exp_alerts:\n/g)]
    assert.deepEqual([...new Set(fired.map(([, name]) => name))], names)
  })

  it('has a severity, a duration, and a section of the runbook', () => {
    const { groups } = load(read('deploy/alerts.yaml')) as {
      groups: { rules: Record<string, string & Record<string, string>>[] }[]
    }
    const sections = read('docs/operating.md').split(/^### /m)
    const WHAT = ['Means', 'Affects', 'Check', 'Fix', 'Confirm']

    for (const rule of groups.flatMap(({ rules }) => rules)) {
      assert.match(rule['labels']?.['severity'] ?? '', /^(critical|warning)$/)
      assert.ok(rule['for'], `${rule['alert']} fires at once`)
      const [, anchor] = /^docs\/operating\.md#(\w+)$/.exec(rule['annotations']?.['runbook_url'] ?? '') ?? []
      const section = sections.find((text) => text.split('\n')[0]?.toLowerCase() === anchor)
      assert.ok(section, `docs/operating.md has no heading for #${anchor}`)
      for (const word of WHAT) assert.match(section, new RegExp(`^- \\*\\*${word}:\\*\\* .{4}`, 'm'), anchor)
    }
  })
})
