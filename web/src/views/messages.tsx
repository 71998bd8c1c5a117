import { useSignal, useSignalEffect } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { OpenConversation, Row } from '../chat/types.ts'
import { Icon } from '../ui/icon.tsx'
import { ScrollAnchor } from '../ui/scroll-anchor.ts'
import { dayName, now, sameDay } from '../ui/time.ts'
import { MessageRow } from './message-row.tsx'

/** Rows of one person within so much time stand together. */
const GROUP_MS = 5 * 60_000

/** Older rows are loaded when so much of the view's height is left above. */
const NEAR_TOP = 1.5

/** More rows stay only while the user reads the older ones. */
const ROWS_MAX = 400

/** The log of a conversation. */
export function Messages({ open }: { open: OpenConversation }) {
  const log = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const [anchor, setAnchor] = useState<ScrollAnchor>()
  const loading = useSignal(false)
  // History that is put in must not be read out: only what comes after it.
  const live = useSignal(false)
  const seen = useRef(0)
  const rows = open.rows.value
  const newest = rows?.at(-1)

  // One load at a time; while the view has no height it is hidden.
  const loadOlderIfNear = async () => {
    const { current: view } = log
    if (!view?.clientHeight || view.scrollTop > view.clientHeight * NEAR_TOP) return
    if (loading.peek() || !open.hasOlder.peek() || !open.rows.peek()) return
    loading.value = true
    live.value = false
    const loaded = await open.loadOlder().then(
      () => true,
      // The store is not there; the next move asks it again.
      () => false,
    )
    // After the rows are drawn, which may be too few for the view.
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
    // What the user has just sent is what the user wants to see.
    else if (!isFirst && newest?.kind === 'sent' && newest.place > seen.current) anchor.toBottom()
    else anchor.restore()
    if (anchor.stuck.peek() || newest?.kind === 'sent') seen.current = newest?.place ?? 0
    // What the store does not give now, it gives with the next rows.
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
        // A tick that changes is not read out.
        aria-relevant="additions"
        aria-live={live.value ? 'polite' : 'off'}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys.
        tabIndex={0}
      >
        <div ref={content} class="rows">
          {rows && drawn(open, rows, (row) => anchor?.hold(row))}
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

/** Read is what is on the screen: the page is visible, and the newest row is in sight. */
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

/** The rows, with a line above each day, and one above what is new. */
function drawn(open: OpenConversation, rows: readonly Row[], onExpand: (row: Element) => void) {
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
