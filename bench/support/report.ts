import { type Generator, HEADROOM_MIN, type Row, type Target } from './rows.ts'

/** The published results: where, when, and by scenario, so that one can be measured again alone. */
export interface Results {
  scenarios: Record<string, ScenarioResult>
}

export interface ScenarioResult {
  measuredAt: string
  machine: string
  rows: Row[]
  generator?: Generator
}

const COLUMNS = ['', 'Restante', 'floor', 'ratio (lowest-highest)', 'target', 'floor is']

/** A plain table; a row that misses its target says so. */
export function table(results: Results): string {
  const rows = Object.values(results.scenarios).flatMap(({ rows }) => rows)
  const cells = [COLUMNS, ...rows.map(cellsOf)]
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

function cellsOf(row: Row): string[] {
  const { what, ours, floor, unit, floorIs, note } = row
  return [
    note ? `${what} (${note})` : what,
    `${digits(ours)} ${unit}`,
    `${digits(floor)} ${unit}`,
    ratioOf(row),
    verdictOf(row),
    floorIs,
  ]
}

const ratioOf = ({ ratio, lowest, highest }: Row) => `${digits(ratio)} (${digits(lowest)}-${digits(highest)})`

const verdictOf = (row: Row) => (row.target ? `${goal(row, row.target)} ${row.met ? 'met' : 'MISSED'}` : '')

/** The rows that have a target, as a table of Markdown. */
export function markdownTable(results: Results): string {
  const rows = Object.values(results.scenarios).flatMap(({ rows }) => rows.filter(({ target }) => target))
  const cells = rows.map((row) => [
    row.what,
    `${digits(row.ours)} ${row.unit}`,
    `${digits(row.floor)} ${row.unit}: ${row.floorIs}`,
    ratioOf(row),
    verdictOf(row).replace('MISSED', '**missed**'),
  ])
  const head = ['what', 'Restante', 'floor', 'ratio (lowest-highest)', 'target']
  const line = (row: string[]) => `| ${row.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...cells.map(line)].join('\n')
}

export const goal = ({ better, unit }: Pick<Row, 'better' | 'unit'>, target: Target) => {
  const bound = better === 'more' ? 'at least' : 'at most'
  return 'ratio' in target ? `${bound} ${target.ratio}` : `${bound} ${digits(target.absolute)} ${unit}`
}

/** Three digits that count; whole numbers above a thousand in groups. */
export function digits(value: number): string {
  if (value >= 1_000) return grouped(value)
  return String(Number(value.toPrecision(3)))
}

/** 10 000 */
export const grouped = (value: number) => Math.round(value).toLocaleString('en').replaceAll(',', ' ')

/** Says how far the load generator was from its own limit. */
export function generatorLine(name: string, { tool, ceiling, fastest }: Generator): string {
  const headroom = ceiling / fastest
  const verdict = headroom < HEADROOM_MIN ? `BELOW ${HEADROOM_MIN}: it may be what was measured` : 'enough'
  return `${name}: the load generator (${tool}) drove ${digits(ceiling)}/s, ${headroom.toFixed(2)} times the fastest measured: ${verdict}.`
}
