import { signal } from '@preact/signals'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** The current time, updated every half minute while the page is visible. */
export const now = signal(Date.now())
const update = () => {
  if (document.visibilityState === 'visible') now.value = Date.now()
}
setInterval(update, MINUTE_MS / 2)
document.addEventListener('visibilitychange', update)

// In English, like the page, but with the user's 12- or 24-hour clock.
const { hourCycle } = new Intl.DateTimeFormat(undefined, { hour: 'numeric' }).resolvedOptions()
const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-GB', options)
const CLOCK = format({
  hour: hourCycle === 'h12' ? 'numeric' : '2-digit',
  minute: '2-digit',
  ...(hourCycle && { hourCycle }),
})
const WEEKDAY = format({ weekday: 'long' })
const DAY = format({ weekday: 'long', day: 'numeric', month: 'long' })
const DATE = format({ day: 'numeric', month: 'long', year: 'numeric' })
const SHORT_DATE = format({ day: 'numeric', month: 'short' })
const SHORT_DATE_AND_YEAR = format({ day: '2-digit', month: '2-digit', year: 'numeric' })
const FULL = format({ dateStyle: 'full', timeStyle: 'short', ...(hourCycle && { hourCycle }) })

const midnight = (atMs: number) => new Date(atMs).setHours(0, 0, 0, 0)
/** Calendar days between two times. Rounded, because a day may have 23 or 25 hours. */
const daysBefore = (atMs: number, nowMs: number) => Math.round((midnight(nowMs) - midnight(atMs)) / DAY_MS)
const sameYear = (atMs: number, nowMs: number) =>
  new Date(atMs).getFullYear() === new Date(nowMs).getFullYear()

export const sameDay = (oneMs: number, otherMs: number) => midnight(oneMs) === midnight(otherMs)

/** `14:03` */
export const clock = (atMs: number) => CLOCK.format(atMs)

/** `Thursday, 26 November 2026 at 14:03` */
export const fullTime = (atMs: number) => FULL.format(atMs)

/** `26 November 2026` */
export const date = (atMs: number) => DATE.format(atMs)

/** Above the messages of a day: `Today`, `Yesterday`, `Thursday, 26 November`. */
export function dayName(atMs: number, nowMs: number): string {
  const days = daysBefore(atMs, nowMs)
  if (days === 0) return 'Today'
  if (days === 1) return 'Yesterday'
  return sameYear(atMs, nowMs) ? DAY.format(atMs) : DATE.format(atMs)
}

/** In the list: `14:03`, `Yesterday`, `Thursday`, `26 Nov`, `26/11/2025`. */
export function listTime(atMs: number, nowMs: number): string {
  const days = daysBefore(atMs, nowMs)
  if (days <= 0) return clock(atMs)
  if (days === 1) return 'Yesterday'
  if (days < 7) return WEEKDAY.format(atMs)
  return sameYear(atMs, nowMs) ? SHORT_DATE.format(atMs) : SHORT_DATE_AND_YEAR.format(atMs)
}

/** `just now`, `5 minutes ago`, `at 14:03`, `yesterday at 14:03`, `on 26 November 2026`. */
export function ago(atMs: number, nowMs: number): string {
  const minutes = Math.floor((nowMs - atMs) / MINUTE_MS)
  if (minutes < 1) return 'just now'
  if (minutes === 1) return 'a minute ago'
  if (minutes < 60) return `${minutes} minutes ago`
  const days = daysBefore(atMs, nowMs)
  if (days <= 0) return `at ${clock(atMs)}`
  if (days === 1) return `yesterday at ${clock(atMs)}`
  return `on ${date(atMs)}`
}
