/** What time it is, in ms since 1970: this machine's, or the one that several nodes have in common. */
export type Clock = () => number

let last = { ms: 0, text: new Date(0).toISOString() }

/**
 * An instant as clients get it: RFC 3339, in UTC, with milliseconds. The last one is remembered, because
 * messages that come together share theirs, and to write it takes 0.5 µs.
 *
 * @param ms since 1970
 */
export function timestamp(ms: number): string {
  if (ms !== last.ms) last = { ms, text: new Date(ms).toISOString() }
  return last.text
}
