import type { Processes } from './processes.ts'
import type { Generator, Row } from './rows.ts'

/** What a scenario gets: how long to measure, and where. */
export interface Bench {
  /** On a real disk; goes when the run is over. */
  folder: string
  processes: Processes
  rounds: number
  /** How long one measurement lasts, and what runs before it and is not counted. */
  seconds: number
  warmUpSeconds: number
  /** The full number, or the one that shows that it works. */
  size: (full: number, quick: number) => number
}

export interface Measured {
  rows: Row[]
  /** Proof that the load generator was not what was measured. */
  generator?: Generator
}

export type Scenario = (bench: Bench) => Promise<Measured>
