import { spawnSync } from 'node:child_process'

/** Returns the value of a metric with these labels from a scrape; undefined if there is none. */
export type Scraped = (name: string, labels?: Record<string, string>) => number | undefined

/** @param text of a scrape */
export function scraped(text: string): Scraped {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const values = new Map(
    lines.map((line) => {
      const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      return [keyOf(name, labels.match(/\w+="[^"]*"/g) ?? []), Number(value)]
    }),
  )
  return (name, labels = {}) =>
    values.get(
      keyOf(
        name,
        Object.entries(labels).map(([label, value]) => `${label}="${value}"`),
      ),
    )
}

const keyOf = (name: string, labels: string[]) => `${name} ${labels.toSorted().join()}`

/** Why promtool cannot be run here; undefined when it can. */
export const noPromtool = spawnSync('promtool', ['--version']).error
  ? 'promtool is not installed here (Debian has it in the package prometheus), and is no package of npm.'
  : undefined

/** @returns the exit code and the output */
export function promtool(args: string[], input = ''): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  return { code: status, said: stdout + stderr }
}
