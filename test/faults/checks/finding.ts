import type { History, InjectedFault } from '../history.ts'

/** A broken promise. */
export interface Violation {
  promise: string
  atMs: number
  /** The account, if only one is concerned. */
  account?: string
  node?: string
  what: string
}

export interface Finding {
  violations: Violation[]
  /** The measurements. */
  figures: Record<string, number>
}

/**
 * The interval of src/nodes/reconciler.ts, plus the time that a node may need to reconnect (at most 3 s
 * between two attempts), to read, and to get the processor on a busy machine.
 */
export const REREAD_MS_MAX = 15_000 + 5_000

/** For how long a node has been up and connected to its database at a time; undefined while it is not. */
export function faultFreeSinceMs(
  injectedFaults: InjectedFault[],
  node: string,
  atMs: number,
  which: (fault: InjectedFault) => boolean = ({ cutsOff }) => cutsOff,
): number {
  const ends = injectedFaults
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
