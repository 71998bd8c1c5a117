import type { Disturbance, History } from '../history.ts'

/** A promise that was broken. */
export interface Violation {
  promise: string
  atMs: number
  /** Whom it concerns, where it concerns one. */
  account?: string
  node?: string
  what: string
}

export interface Finding {
  violations: Violation[]
  /** What was measured. */
  figures: Record<string, number>
}

/**
 * The interval of src/nodes/reconciler.ts, and what a node may need besides: to connect again (3 s at the
 * most between two tries), to read, and to be given the processor by its neighbours.
 */
export const REREAD_MS_MAX = 15_000 + 5_000

/** How long a node has been up and with its database at a time; nothing while it is not. */
export function undisturbedSinceMs(
  disturbances: Disturbance[],
  node: string,
  atMs: number,
  which: (disturbance: Disturbance) => boolean = ({ cutsOff }) => cutsOff,
): number {
  const ends = disturbances
    .filter((one) => which(one) && one.fromMs <= atMs && (one.node === undefined || one.node === node))
    .map(({ toMs }) => Math.min(toMs, atMs))
  return Math.max(0, ...ends)
}

export function byAccount<T extends { account: string }>(items: T[]): Map<string, T[]> {
  const grouped = new Map<string, T[]>()
  for (const item of items) {
    const group = grouped.get(item.account)
    if (group) group.push(item)
    else grouped.set(item.account, [item])
  }
  return grouped
}

export type Check = (history: History) => Finding
