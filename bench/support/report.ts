import { moreIsBetter, type Row } from './measure.ts'

/** The published results by scenario, so that one scenario can be measured again alone. */
export interface Results {
  scenarios: Record<string, { measuredAt: string; machine: string; rows: Row[] }>
}

/** @param all whether to include rows without a target, and notes, for the terminal */
export function markdownTable({ scenarios }: Results, all = false): string {
  const rows = Object.values(scenarios).flatMap(({ rows }) => rows.filter(({ target }) => all || target))
  const head = ['what', 'Restante', 'floor', 'ratio (lowest-highest)', 'target']
  const cells = [head, head.map(() => '---'), ...rows.map((row) => cellsOf(row, all))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | '))
  return lines.map((line) => `| ${line} |`).join('\n')
}

function cellsOf(row: Row, noted: boolean): string[] {
  const { what, ours, floor, floorIs, unit, ratio, lowest, highest, target, met, note } = row
  const bound = moreIsBetter(row) ? 'at least' : 'at most'
  const goal = target && ('ratio' in target ? target.ratio : `${digits(target.absolute)} ${unit}`)
  return [
    noted && note ? `${what} (${note})` : what,
    `${digits(ours)} ${unit}`,
    `${digits(floor)} ${unit}: ${floorIs}`,
    `${digits(ratio)} (${digits(lowest)}-${digits(highest)})`,
    target ? `${bound} ${goal} ${met ? 'met' : '**missed**'}` : '',
  ]
}

/** Three significant digits; from a thousand on, whole numbers in groups. */
const digits = (value: number) => (value >= 1_000 ? grouped(value) : String(Number(value.toPrecision(3))))

/** 10 000 */
export const grouped = (value: number) => Math.round(value).toLocaleString('en').replaceAll(',', ' ')
