import type { Chat } from '../chat/types.ts'
import { useAction, useLoaded } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { Entries } from '../ui/entries.tsx'
import { ago, now } from '../ui/time.ts'

export function Sessions({ chat }: { chat: Chat }) {
  const { value: sessions, problem: unknown, reload } = useLoaded(() => chat.session.listSessions())
  const { busy, problem, run } = useAction()
  const end = async (id: string) => {
    if (await run(() => chat.session.endSession(id))) announce('Session ended.')
    await reload()
  }
  return (
    <Entries label="Sessions" entries={sessions} problem={problem ?? unknown} empty="">
      {({ id, label, createdAt, lastSeenAt, current }) => (
        <li key={id}>
          <span>
            <strong dir="auto">{label ?? 'Without a label'}</strong>
            <small>
              {current
                ? 'This session, '
                : lastSeenAt
                  ? `Last seen ${ago(Date.parse(lastSeenAt), now.value)}, `
                  : ''}
              logged in {ago(Date.parse(createdAt), now.value)}
            </small>
          </span>
          {!current && (
            <button type="button" class="link danger" aria-disabled={busy} onClick={() => void end(id)}>
              End
            </button>
          )}
        </li>
      )}
    </Entries>
  )
}
