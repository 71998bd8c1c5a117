import { useEffect, useRef, useState } from 'preact/hooks'
import type { Chat, Connection } from '../chat/types.ts'
import { acceptUpdate, updateIsReady } from '../ui/update.ts'

/** What concerns the whole page, above it. */
export function Notices({ chat }: { chat: Chat }) {
  const trouble = chat.storageTrouble.value
  return (
    <div class="notices">
      <ConnectionBar chat={chat} />
      <GapBar chat={chat} />
      {trouble && (
        <p class="notice" role="status">
          {trouble}
        </p>
      )}
      <UpdateBar />
    </div>
  )
}

/** Quiet: only while there is no connection. A screen reader hears of it once, and not each second. */
function ConnectionBar({ chat }: { chat: Chat }) {
  const connection = chat.connection.value
  const { state } = connection
  const wasWaiting = useRef(false)
  if (state !== 'connecting') wasWaiting.current = state === 'waiting'
  if (!wasWaiting.current) return <div role="status" />
  const isBusy = connection.state === 'waiting' && connection.problem.status > 0
  return (
    <div class="notice">
      <span role="status">{isBusy ? 'The server is busy.' : 'No connection.'}</span>
      {connection.state === 'waiting' ? <Countdown connection={connection} /> : <span>Trying…</span>}
      <button type="button" class="link" disabled={state === 'connecting'} onClick={() => chat.tryNow()}>
        Try now
      </button>
    </div>
  )
}

function Countdown({ connection }: { connection: Extract<Connection, { state: 'waiting' }> }) {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  const seconds = Math.ceil((connection.retryAtMs - nowMs) / 1_000)
  return <span aria-hidden="true">{seconds > 0 ? `Trying again in ${seconds} s` : 'Trying…'}</span>
}

function GapBar({ chat }: { chat: Chat }) {
  const gap = chat.gap.value
  if (!gap) return null
  const count = gap.to - gap.from + 1
  const missing = count === 1 ? 'A message is missing' : `${count} messages are missing`
  return (
    <div class="notice" role="status">
      <span>
        {missing}: {REASONS[gap.reason] ?? 'the server has them no longer.'}
      </span>
      <button type="button" class="link" onClick={() => chat.dismissGap()}>
        Dismiss
      </button>
    </div>
  )
}

const REASONS: Record<string, string> = {
  purged: 'they were received elsewhere, or too old for the server to keep.',
  restored: 'the server was restored from a backup.',
}

export function UpdateBar() {
  if (!updateIsReady.value) return null
  return (
    <div class="notice" role="status">
      <span>A new version is ready.</span>
      <button type="button" class="link" onClick={acceptUpdate}>
        Reload
      </button>
    </div>
  )
}
