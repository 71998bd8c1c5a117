/**
 * A store that was restored, or a standby that took over, lacks the newest messages and would give their
 * numbers out again. So every inbox continues at a number that no other copy of the store can have given out:
 * the microseconds since 1970. An inbox never gets a million messages per second, so its numbers stay behind
 * the clock, and the same backup can be restored twice. If the clock is wrong, the inbox skips more numbers
 * than any inbox gets between a backup and its restore.
 */
export const SKIP_MIN = 1_000_000_000

/** Numbers stay below 2^53: a clock beyond the year 2112 is not trusted. */
const NUMBER_MAX = 2 ** 52

/** The number after which inboxes continue when restored at this time; 0 when the clock cannot be right. */
export function nextNumberAt(nowMs: number): number {
  const number = Math.floor(nowMs * 1_000)
  return number < NUMBER_MAX ? number : 0
}

/** The log of a store. */
export interface DatabaseLog {
  warn: (message: string) => void
}

/** @param moved how many inboxes were moved on */
export const restoredLine = (cause: string, moved: number): string =>
  `${cause}: ${inboxesContinue(moved)}, and their clients get a gap with the reason "restored".`

/** @param moved how many inboxes were moved on */
export const inboxesContinue = (moved: number): string =>
  `${moved} ${moved === 1 ? 'inbox continues' : 'inboxes continue'} at higher numbers`
