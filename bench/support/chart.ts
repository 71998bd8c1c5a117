import { digits, goal } from './report.ts'
import type { Row } from './rows.ts'

const WIDTH = 1040
const LABEL_WIDTH = 440
/** Where the target stands in every row, and what twice the target would reach. */
const TARGET_X = LABEL_WIDTH + 170
const END_X = LABEL_WIDTH + 340
const LINE = 26
const BAR = 14

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .heading { font-weight: 600 }
  .met { fill: #2f855a } .missed { fill: #c05621 }
  .target { stroke: #24292f; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .target { stroke: #e6edf3 } .met { fill: #48bb78 } .missed { fill: #ed8936 }
  }`

/** Bars of all rows with a target, each on a scale of its own on which the target is the line. */
export function chart(rows: Row[]): string {
  const withTarget = rows.filter(({ target }) => target)
  const groups = [
    { heading: 'More is better: the bar should reach the line', better: 'more' },
    { heading: 'Less is better: the bar should end before the line', better: 'less' },
  ]
  const lines = groups.flatMap(({ heading, better }) => [
    (y: number) => `<text class="heading" x="12" y="${y + 18}">${heading}</text>`,
    ...withTarget.filter((row) => row.better === better).map((row) => (y: number) => barOf(row, y)),
  ])
  const height = (lines.length + 1) * LINE
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>Restante beside its floors, and the targets</title>
<style>${STYLE}
</style>
${lines.map((line, index) => line(12 + index * LINE)).join('\n')}
</svg>
`
}

function barOf(row: Row, y: number): string {
  const { what, ours, floor, unit, ratio, target, met } = row
  if (!target) return ''
  const share = 'ratio' in target ? ratio / target.ratio : ours / target.absolute
  const width = Math.min(share * (TARGET_X - LABEL_WIDTH), END_X - LABEL_WIDTH)
  const told = 'ratio' in target ? `${digits(ratio)} of the floor` : `${digits(ours)} ${unit}`
  return [
    `<text x="${LABEL_WIDTH - 10}" y="${y + 17}" text-anchor="end">${escaped(what)}</text>`,
    `<rect class="${met ? 'met' : 'missed'}" x="${LABEL_WIDTH}" y="${y + 6}" width="${width.toFixed(1)}" height="${BAR}" rx="2">`,
    `<title>${digits(ours)} ${unit} beside ${digits(floor)} ${unit}</title></rect>`,
    `<line class="target" x1="${TARGET_X}" x2="${TARGET_X}" y1="${y + 2}" y2="${y + LINE - 2}"/>`,
    `<text x="${END_X + 10}" y="${y + 17}">${told}, ${goal(row, target)}</text>`,
  ].join('')
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
