import { median } from './stats.ts'

/** One line of the table: what we do beside what the floor does, measured in turn. */
export interface Row {
  what: string
  floorIs: string
  unit: string
  better: 'more' | 'less'
  ours: number
  floor: number
  /** Ours to the floor's: the median of the rounds, and the rounds that went lowest and highest. */
  ratio: number
  lowest: number
  highest: number
  target?: Target
  met?: boolean
  note?: string
  rounds: Round[]
}

/** As a ratio to the floor, or in the row's own unit. */
export type Target = { ratio: number } | { absolute: number }

export interface Round {
  ours: number
  floor: number
}

/**
 * How fast the load generator drives something that does nothing at all, beside the fastest that it measured.
 */
export interface Generator {
  tool: string
  ceiling: number
  fastest: number
}

/** Below this the generator, and not the server, may be what was measured. */
export const HEADROOM_MIN = 1.2

type Described = Pick<Row, 'what' | 'floorIs' | 'unit' | 'better'> & { target?: Target; note?: string }

/** Makes a row of what the rounds gave. */
export function rowOf(described: Described, ours: number[], floor: number[]): Row {
  const rounds = ours.map((value, round) => ({ ours: value, floor: floor[round] ?? Number.NaN }))
  const ratios = rounds.map((round) => round.ours / round.floor)
  const row = {
    ...described,
    ours: median(ours),
    floor: median(floor),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
    rounds,
  }
  return described.target ? { ...row, met: isMet(row, described.target) } : row
}

function isMet({ better, ours, ratio }: Pick<Row, 'better' | 'ours' | 'ratio'>, target: Target): boolean {
  const [value, goal] = 'ratio' in target ? [ratio, target.ratio] : [ours, target.absolute]
  // What costs less than nothing was measured wrongly.
  return better === 'more' ? value >= goal : value > 0 && value <= goal
}

/**
 * Measures several things in turn, round by round, so that what disturbs the machine disturbs all of them.
 * Every other round goes backwards.
 *
 * @returns what each of them gave, one value a round
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
