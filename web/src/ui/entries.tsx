import type { ComponentChildren } from 'preact'

/** A list of things of the account, each with a button that ends it. */
export function Entries<T>(props: {
  label: string
  entries: readonly T[] | undefined
  problem: string | undefined
  empty: string
  children: (entry: T) => ComponentChildren
}) {
  const { entries, problem } = props
  return (
    <>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {entries?.length === 0 && <p class="hint">{props.empty}</p>}
      {entries && entries.length > 0 && (
        // biome-ignore lint/a11y/noRedundantRoles: Safari takes a list without bullets for none.
        <ul class="entries" role="list" aria-label={props.label}>
          {entries.map(props.children)}
        </ul>
      )}
    </>
  )
}
