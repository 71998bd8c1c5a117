import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Chat, Connection } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { acceptUpdate, updateIsReady } from '../ui/update.ts'
import { turnOnIn } from './account-notifications.tsx'

/** Notices about the whole page, at its top. */
export function Notices({ chat }: { chat: Chat }) {
  const warning = chat.storageWarning.value
  return (
    <div class="notices">
      <ConnectionBar chat={chat} />
      <GapBar chat={chat} />
      {warning && <Notice text={warning} />}
      <UpdateBar />
      <NotificationsBar chat={chat} />
    </div>
  )
}

/** A sentence, announced to screen readers, with its buttons. */
function Notice({ text, children }: { text: string; children?: ComponentChildren }) {
  useEffect(() => announce(text), [text])
  return (
    <div class="notice">
      <span>{text}</span>
      {children}
    </div>
  )
}

/** Shown only without a connection. The countdown is hidden from screen readers. */
function ConnectionBar({ chat }: { chat: Chat }) {
  const connection = chat.connection.value
  const { state } = connection
  const isDown = useRef(false)
  const isBusy = useRef(false)
  if (state !== 'connecting') isDown.current = state === 'waiting'
  if (connection.state === 'waiting') isBusy.current = connection.problem.status > 0
  const wasDown = useRef(false)
  useEffect(() => {
    if (wasDown.current && !isDown.current) announce('Connected again.')
    wasDown.current = isDown.current
  })
  if (!isDown.current) return null
  return (
    <Notice text={isBusy.current ? 'The server is busy.' : 'No connection.'}>
      {connection.state === 'waiting' ? (
        <Countdown connection={connection} />
      ) : (
        <span aria-hidden="true">Trying…</span>
      )}
      <button type="button" class="link" aria-disabled={state === 'connecting'} onClick={() => chat.tryNow()}>
        Try now
      </button>
    </Notice>
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
  return (
    <Notice text={`${missingWords(gap)}: ${REASONS[gap.reason] ?? 'the server has them no longer.'}`}>
      <button type="button" class="link" onClick={() => chat.dismissGap()}>
        Dismiss
      </button>
    </Notice>
  )
}

/** A restore skips numbers that no message had, so they are not counted. */
function missingWords({ from, to, reason }: { from: number; to: number; reason: string }): string {
  if (reason === 'restored') return 'Messages may be missing'
  return from === to ? 'A message is missing' : `${to - from + 1} messages are missing`
}

const REASONS: Record<string, string> = {
  purged: 'they were received elsewhere, or too old for the server to keep.',
  restored: 'the server was restored from a backup.',
}

/** The offer of notifications, from the first message until the user answers. */
function NotificationsBar({ chat }: { chat: Chat }) {
  const { notifications } = chat
  const { busy, problem, run } = useAction()
  if (notifications.state.value !== 'undecided' || !chat.conversations.value.some(({ last }) => last))
    return null
  return (
    <Notice text={problem ?? 'Notify you of new messages when you are not on this page?'}>
      <button
        type="button"
        class="link"
        aria-disabled={busy}
        onClick={() => void turnOnIn(notifications, run)}
      >
        Turn on
      </button>
      <button type="button" class="link" onClick={() => notifications.decline()}>
        Not now
      </button>
    </Notice>
  )
}

export function UpdateBar() {
  if (!updateIsReady.value) return null
  return (
    <Notice text="A new version is ready.">
      <button type="button" class="link" onClick={acceptUpdate}>
        Reload
      </button>
    </Notice>
  )
}
