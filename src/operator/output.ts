/** What moves a terminal's cursor or turns its text around; what joins emoji and letters of Persian stays. */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of somebody else, as it can be shown on a terminal. */
export const safe = (text: string): string => text.replaceAll(UNSAFE, '\ufffd')

/** The same for several lines of ours. */
export const safeLines = (text: string): string => text.split('\n').map(safe).join('\n')

/** JSON for scripts, and terminals: it means the same. */
export const safeJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(UNSAFE, (found) =>
    found === '\n'
      ? found
      : [...Array(found.length).keys()]
          .map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`)
          .join(''),
  )

const GAP = '  '

/** Rows for people, in columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(safe))
  const widths: number[] = []
  for (const row of cells)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, lengthOf(cell))
  return cells
    .map((row) => row.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - lengthOf(cell))).join(GAP))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

const lengthOf = (text: string) => [...text].length

/** For scripts. */
export const instant = (ms: number): string => new Date(ms).toISOString()

/** For people: without the seconds. */
export const minute = (ms: number | undefined, without = '-'): string =>
  ms === undefined ? without : `${instant(ms).slice(0, 16).replace('T', ' ')}Z`
