/** The largest edit distance of a typing error, by the length of the name. */
const distanceMax = (length: number) => (length < 3 ? 0 : length < 6 ? 1 : 2)

/**
 * The known name that was probably meant by a misspelt one, for "is ... meant?".
 *
 * @returns undefined when none is close
 */
export function closestName(name: string, known: readonly string[]): string | undefined {
  const near = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ candidate, distance }) => distance <= distanceMax(candidate.length))
    .sort((one, other) => one.distance - other.distance)
  return near[0]?.candidate
}

/** Letters to add, remove, replace or swap with their neighbour (the optimal string alignment distance). */
function editDistance(one: string, other: string): number {
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
