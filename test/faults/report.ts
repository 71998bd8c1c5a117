import type { Verdict } from './suite.ts'

/** One bug breaks many promises: the first violations of each kind are enough. */
const STORIES_MAX = 3

/** A verdict as text: the faults, the measurements, and the violations with their history. */
export function report({ violations, stories, figures, faults }: Verdict): string {
  const kinds = new Map<string, string[]>()
  for (const [index, { promise }] of violations.entries()) {
    kinds.set(promise, [...(kinds.get(promise) ?? []), stories[index] as string])
  }
  const broken = [...kinds].flatMap(([promise, ofKind]) => [
    ...ofKind.slice(0, STORIES_MAX),
    `${ofKind.length} times: ${promise}`,
  ])
  const measured = [...faults, ...Object.entries(figures)].map(
    ([what, value]) => `${Math.round(value)} ${what}`,
  )
  return [...measured, ...broken, `${violations.length} violations`].join('\n')
}
