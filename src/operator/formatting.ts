/** Formatting of texts, tables, JSON and dates for a terminal. */

/** Control, format and surrogate characters, except the joiners of emoji and Persian. */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Makes a foreign text safe for a terminal. */
export const safe = (text: string): string => text.replaceAll(UNSAFE, '\ufffd')

/** The same, keeping line breaks. */
export const safeLines = (text: string): string => text.split('\n').map(safe).join('\n')

/** JSON with unsafe characters escaped: safe for a terminal, and equal for a script. */
export const safeJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(UNSAFE, (found) =>
    found === '\n'
      ? found
      : [...Array(found.length).keys()]
          .map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`)
          .join(''),
  )

const COLUMN_GAP = '  '

/** Aligns rows in columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(safe))
  const widths: number[] = []
  for (const row of cells)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, lengthOf(cell))
  return cells
    .map((row) =>
      row.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - lengthOf(cell))).join(COLUMN_GAP),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

const lengthOf = (text: string) => [...text].length

/** An instant for scripts: RFC 3339, UTC. */
const instant = (ms: number): string => new Date(ms).toISOString()

/** The members that are defined, as instants for scripts. */
export const instants = (members: Record<string, number | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(members).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, instant(ms)]])),
  )

/** An instant for people, without seconds. */
export const minute = (ms: number | undefined, without = '-'): string =>
  ms === undefined ? without : `${instant(ms).slice(0, 16).replace('T', ' ')}Z`
