import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** A list of entries of the account, such as sessions, each with a button that removes it. */
export function Entries<T>(props: {
  label: string
  entries: readonly T[] | undefined
  problem: string | undefined
  empty: string
  children: (entry: T) => ComponentChildren
}) {
  const { entries, problem } = props
  const ref = useRef<HTMLDivElement>(null)
  // Move the focus to the list when the focused button disappears with its entry.
  const count = useRef(0)
  useEffect(() => {
    const isFewer = entries !== undefined && entries.length < count.current
    count.current = entries?.length ?? 0
    if (isFewer && document.activeElement === document.body) ref.current?.focus({ preventScroll: true })
  }, [entries])
  return (
    <div ref={ref} tabIndex={-1}>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {entries?.length === 0 && <p class="hint">{props.empty}</p>}
      {entries && entries.length > 0 && (
        // biome-ignore lint/a11y/noRedundantRoles: Safari does not treat a list without bullets as a list.
        <ul class="entries" role="list" aria-label={props.label}>
          {entries.map(props.children)}
        </ul>
      )}
    </div>
  )
}
