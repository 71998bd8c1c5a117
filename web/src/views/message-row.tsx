import { useMemo, useRef, useState } from 'preact/hooks'
import type { OpenConversation, Row, SentRow } from '../chat/types.ts'
import { announce } from '../ui/announcer.tsx'
import { Icon } from '../ui/icon.tsx'
import { linesOf } from '../ui/links.ts'
import { problemOf } from '../ui/problem.ts'
import { Text } from '../ui/text.tsx'
import { clock, fullTime } from '../ui/time.ts'

/** Longer texts are folded. */
const LINES_MAX = 20
const CHARACTER_PX = 7.5
const BUBBLE_PX = 560

const STATES = {
  waiting: 'Waiting to be sent',
  failed: 'Not sent',
  sent: 'Sent',
  delivered: 'Delivered',
} as const

export function MessageRow(props: {
  row: Row
  /** Whether it is the first of several by the same user. */
  starts: boolean
  open: OpenConversation
  onExpand: (row: Element) => void
}) {
  const { row, starts, open, onExpand } = props
  const element = useRef<HTMLDivElement>(null)
  return (
    <div ref={element} class={`row ${row.kind}${starts ? ' starts' : ''}`}>
      <div class="bubble">
        <span class="sr">{row.kind === 'sent' ? 'You: ' : `${open.displayName.value}: `}</span>
        <Body text={row.body} onExpand={() => element.current && onExpand(element.current)} />
        <span class="meta">
          <time dateTime={new Date(row.atMs).toISOString()} title={fullTime(row.atMs)}>
            {clock(row.atMs)}
          </time>
          {row.kind === 'sent' && <Tick state={row.state} />}
        </span>
      </div>
      {row.kind === 'sent' && row.state === 'failed' && <Failure row={row} open={open} />}
    </div>
  )
}

/** The state of a sent message, as an icon and in words. */
export const Tick = ({ state }: { state: SentRow['state'] }) => (
  <span class={`tick ${state}`} title={STATES[state]}>
    <Icon name={state} />
    <span class="sr">{STATES[state]}</span>
  </span>
)

function Body({ text, onExpand }: { text: string; onExpand: () => void }) {
  const [whole, setWhole] = useState(false)
  const isLong = useMemo(
    () => linesOf(text, Math.min(innerWidth * 0.75, BUBBLE_PX) / CHARACTER_PX) > LINES_MAX,
    [text],
  )
  // Memoised, so unchanged rows cost nothing.
  const content = useMemo(() => <Text>{text}</Text>, [text])
  const toggle = () => {
    onExpand()
    setWhole(!whole)
  }
  return (
    <>
      <div class={isLong && !whole ? 'body folded' : 'body'} dir="auto">
        {content}
      </div>
      {isLong && (
        <button type="button" class="link fold" aria-expanded={whole} onClick={toggle}>
          {whole ? 'Show less' : 'Show all'}
        </button>
      )}
    </>
  )
}

function Failure({ row, open }: { row: SentRow; open: OpenConversation }) {
  const element = useRef<HTMLDivElement>(null)
  // Move the focus before the buttons disappear.
  const leave = () => element.current?.closest<HTMLElement>('[role=log]')?.focus({ preventScroll: true })
  return (
    <div ref={element} class="failure">
      <span>Not sent. {row.failure && problemOf(row.failure)}</span>
      <button
        type="button"
        class="link"
        onClick={() => {
          leave()
          void open.retry(row.place)
        }}
      >
        Retry
      </button>
      <button
        type="button"
        class="link"
        onClick={() => {
          leave()
          void open.discard(row.place)
          announce('Message deleted.')
        }}
      >
        Delete
      </button>
    </div>
  )
}
