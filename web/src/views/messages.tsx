import { useSignal, useSignalEffect } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { OpenConversation, Row } from '../chat/types.ts'
import { Icon } from '../ui/icon.tsx'
import { ScrollAnchor } from '../ui/scroll-anchor.ts'
import { dayName, now, sameDay } from '../ui/time.ts'
import { MessageRow } from './message-row.tsx'

/** Rows of one user within this time form a group. */
const GROUP_MS = 5 * 60_000

/** Older rows are loaded when less than this many view heights are left above. */
const NEAR_TOP = 1.5

/** More rows are kept only while the user reads older ones. */
const ROWS_MAX = 400

/** The log of a conversation. */
export function Messages({ open }: { open: OpenConversation }) {
  const log = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const [anchor, setAnchor] = useState<ScrollAnchor>()
  const loading = useSignal(false)
  // Screen readers must not read loaded history, only new messages.
  const live = useSignal(false)
  const seen = useRef(0)
  const rows = open.rows.value
  const newest = rows?.at(-1)

  // One load at a time, and none while the view is hidden and has no height.
  const loadOlderIfNear = async () => {
    const { current: view } = log
    if (!view?.clientHeight || view.scrollTop > view.clientHeight * NEAR_TOP) return
    if (loading.peek() || !open.hasOlder.peek() || !open.rows.peek()) return
    loading.value = true
    live.value = false
    const loaded = await open.loadOlder().then(
      () => true,
      // The storage failed; the next scroll tries again.
      () => false,
    )
    // After rendering, because the rows may be too few to fill the view.
    setTimeout(() => {
      loading.value = false
      live.value = true
      if (loaded) void loadOlderIfNear()
    })
  }

  useLayoutEffect(() => {
    if (!log.current || !content.current) return
    const made = new ScrollAnchor(log.current, content.current, () => void loadOlderIfNear())
    setAnchor(made)
    return () => made.dispose()
  }, [])

  useLayoutEffect(() => {
    if (!anchor || !rows) return
    const isFirst = !live.peek() && !loading.peek()
    const line = isFirst && content.current?.querySelector('.new-line')
    if (line) {
      anchor.show(line)
      seen.current = (open.firstUnread.peek() ?? 1) - 1
    }
    // Show the message that the user has just sent.
    else if (!isFirst && newest?.kind === 'sent' && newest.place > seen.current) anchor.toBottom()
    else anchor.restore()
    if (anchor.stuck.peek() || newest?.kind === 'sent') seen.current = newest?.place ?? 0
    // If it fails, the next rows try again.
    if (anchor.stuck.peek() && rows.length > ROWS_MAX) open.dropOlder().catch(() => {})
    if (isFirst)
      setTimeout(() => {
        live.value = !loading.peek()
      })
  }, [anchor, rows])

  useSignalEffect(() => {
    if (!anchor?.stuck.value) return
    seen.current = open.rows.value?.at(-1)?.place ?? 0
  })
  useMarkRead(open, anchor)

  const isStuck = anchor?.stuck.value ?? true
  const missed = isStuck ? 0 : countReceivedAfter(rows, seen.current)
  return (
    <div class="messages">
      <div
        ref={log}
        class="log"
        role="log"
        aria-label="Messages"
        // Changed ticks are not read out.
        aria-relevant="additions"
        aria-live={live.value ? 'polite' : 'off'}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys.
        tabIndex={0}
      >
        <div ref={content} class="rows">
          {rows && renderRows(open, rows, (row) => anchor?.hold(row))}
        </div>
        {rows?.length === 0 && <p class="no-messages">No messages yet. Write the first one below.</p>}
      </div>
      {!isStuck && (
        <button type="button" class="jump" onClick={() => anchor?.toBottom()}>
          <Icon name="down" />
          {missed > 0 ? (
            <span>{missed === 1 ? '1 new message' : `${missed} new messages`}</span>
          ) : (
            <span class="sr">Go to the newest message</span>
          )}
        </button>
      )}
    </div>
  )
}

/** Marks rows as read while the page is visible and the newest row is in view. */
function useMarkRead(open: OpenConversation, anchor: ScrollAnchor | undefined) {
  const visible = useSignal(document.visibilityState === 'visible')
  useEffect(() => {
    const update = () => {
      visible.value = document.visibilityState === 'visible'
    }
    document.addEventListener('visibilitychange', update)
    return () => document.removeEventListener('visibilitychange', update)
  }, [])
  const stuck = anchor?.stuck.value
  const rows = open.rows.value
  useEffect(() => {
    if (stuck && visible.value && rows) open.markRead()
  }, [stuck, visible.value, rows])
}

/** Renders the rows, with a line above each day and above the first new message. */
function renderRows(open: OpenConversation, rows: readonly Row[], onExpand: (row: Element) => void) {
  const all: ComponentChildren[] = []
  const firstUnread = open.firstUnread.value
  for (const [at, row] of rows.entries()) {
    const before = rows[at - 1]
    const isNew = row.place === firstUnread
    const newDay = !before || !sameDay(before.atMs, row.atMs)
    if (newDay)
      all.push(
        <p key={`day ${row.place}`} class="day">
          <span>{dayName(row.atMs, now.value)}</span>
        </p>,
      )
    if (isNew)
      all.push(
        <p key="new" class="new-line">
          <span>New</span>
        </p>,
      )
    const starts = newDay || isNew || !together(before, row)
    all.push(<MessageRow key={row.place} row={row} starts={starts} open={open} onExpand={onExpand} />)
  }
  return all
}

const together = (before: Row, row: Row) => before.kind === row.kind && row.atMs - before.atMs < GROUP_MS

const countReceivedAfter = (rows: readonly Row[] = [], place: number) =>
  rows.filter((row) => row.kind === 'received' && row.place > place).length
