/** How many letters may differ, by the length of the name. */
const differencesMax = (length: number) => (length < 3 ? 0 : length < 6 ? 1 : 2)

/**
 * The known name that was probably meant.
 *
 * @returns undefined when none is near, and when `name` is itself known
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const near = known
    .map((candidate) => ({
      candidate,
      differences: differencesOf(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ candidate, differences }) => differences <= differencesMax(candidate.length))
    .sort((one, other) => one.differences - other.differences)
  return near[0]?.candidate
}

/** Letters to add, remove, replace or swap with their neighbour (the optimal string alignment distance). */
function differencesOf(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return Number.POSITIVE_INFINITY
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= one.length; row++) {
    const [above = [], twoAbove = []] = [rows[row - 1], rows[row - 2]]
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const at = (line: number[], index: number) => line[index] ?? Number.POSITIVE_INFINITY
      const replaced = at(above, column - 1) + (one[row - 1] === other[column - 1] ? 0 : 1)
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      const swapped = isSwap ? at(twoAbove, column - 2) + 1 : Number.POSITIVE_INFINITY
      current.push(Math.min(at(above, column) + 1, at(current, column - 1) + 1, replaced, swapped))
    }
    rows.push(current)
  }
  return rows[one.length]?.[other.length] ?? Number.POSITIVE_INFINITY
}
