/** The frame of all scenarios: alternating rounds, and rows of results. */

export interface Bench {
  /** On a real disk; deleted after the run. */
  folder: string
  rounds: number
  /** How long one measurement lasts, and the warm-up before it. */
  seconds: number
  warmUpSeconds: number
  /** Returns the full number, or the small one of a quick run. */
  size: (full: number, quick: number) => number
}

export type Scenario = (bench: Bench) => Promise<Row[]>

/** As a ratio to the floor, or in the row's own unit. */
export type Target = { ratio: number } | { absolute: number }

interface Described {
  what: string
  floorIs: string
  /** More is better for rates, less for everything else. */
  unit: 'messages/s' | 'ms' | 'kB'
  target?: Target
  note?: string
}

/** One line of the table: Restante beside its floor. */
export interface Row extends Described {
  ours: number
  floor: number
  /** Ours divided by the floor: the median of the rounds, the lowest and the highest. */
  ratio: number
  lowest: number
  highest: number
  met?: boolean
  rounds: { ours: number; floor: number }[]
}

export const moreIsBetter = ({ unit }: Pick<Row, 'unit'>) => unit.endsWith('/s')

/** Makes a row of the values of all rounds. */
export function rowOf(described: Described, ours: number[], floor: number[]): Row {
  const rounds = ours.map((value, round) => ({ ours: value, floor: floor[round] ?? Number.NaN }))
  const ratios = rounds.map((round) => round.ours / round.floor)
  const [lowest, highest] = [Math.min(...ratios), Math.max(...ratios)]
  const medians = { ours: median(ours), floor: median(floor), ratio: median(ratios) }
  const row = { ...described, ...medians, lowest, highest, rounds }
  const { target } = described
  if (!target) return row
  const [value, goal] = 'ratio' in target ? [row.ratio, target.ratio] : [row.ours, target.absolute]
  // A cost below zero is a faulty measurement.
  return { ...row, met: moreIsBetter(row) ? value >= goal : value > 0 && value <= goal }
}

/**
 * Runs several measurements alternately, round by round, so that a disturbance of the machine affects all of
 * them. Every other round runs in reverse order.
 *
 * @returns the values of each, one per round
 */
export async function inTurn<Measurements extends Record<string, () => Promise<unknown>>>(
  rounds: number,
  measurements: Measurements,
): Promise<{ [Name in keyof Measurements]: Awaited<ReturnType<Measurements[Name]>>[] }> {
  const names = Object.keys(measurements)
  const values = Object.fromEntries(names.map((name) => [name, [] as unknown[]]))
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed())
      values[name]?.push(await measurements[name]?.())
  }
  return values as { [Name in keyof Measurements]: Awaited<ReturnType<Measurements[Name]>>[] }
}

/** The value of each round below which this share of its values is. */
export const percentiles = (rounds: number[][], share: number) =>
  rounds.map((values) => {
    const sorted = Float64Array.from(values).sort()
    return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? Number.NaN
  })

/** The middle value, or the mean of the two middle values. */
export function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort()
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  return (lower + upper) / 2
}
