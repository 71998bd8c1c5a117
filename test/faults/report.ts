import type { Verdict } from './suite.ts'

/** One bug breaks many promises: the first of each kind say enough. */
const STORIES_MAX = 3

/** A verdict in words: what was done, what was measured, and the stories of what broke. */
export function report({ violations, stories, figures, deeds }: Verdict): string {
  const kinds = new Map<string, string[]>()
  for (const [index, { promise }] of violations.entries()) {
    kinds.set(promise, [...(kinds.get(promise) ?? []), stories[index] as string])
  }
  const broken = [...kinds].flatMap(([promise, told]) => [
    ...told.slice(0, STORIES_MAX),
    `${told.length} times: ${promise}`,
  ])
  const measured = [...deeds, ...Object.entries(figures)].map(
    ([what, value]) => `${Math.round(value)} ${what}`,
  )
  return [...measured, ...broken, `${violations.length} violations`].join('\n')
}
