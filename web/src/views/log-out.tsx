import { useEffect, useState } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Icon } from '../ui/icon.tsx'

const PAUSE_S = 5

/** Logs out. If that deletes messages, a countdown allows the user to cancel. */
export function LogOut({ chat, small = false }: { chat: Chat; small?: boolean }) {
  const [pauseS, setPauseS] = useState<number>()
  return (
    <>
      <button
        type="button"
        class={small ? 'icon-button' : ''}
        aria-label="Log out"
        title="Log out. Messages in this browser are deleted."
        onClick={() => setPauseS(chat.conversations.peek().length > 0 ? PAUSE_S : 0)}
      >
        {small ? <Icon name="logout" /> : 'Log out'}
      </button>
      {pauseS !== undefined && (
        <Countdown chat={chat} pauseS={pauseS} onCancel={() => setPauseS(undefined)} />
      )}
    </>
  )
}

function Countdown({ chat, pauseS, onCancel }: { chat: Chat; pauseS: number; onCancel: () => void }) {
  const [leftS, setLeftS] = useState(pauseS)
  const { busy, problem, run } = useAction()
  const logOut = () => void run(() => chat.logout())
  useEffect(() => {
    if (leftS === 0) return logOut()
    const timer = setTimeout(() => setLeftS(leftS - 1), 1_000)
    return () => clearTimeout(timer)
  }, [leftS])
  return (
    <Dialog title="Logging out" onClose={onCancel}>
      <p>
        All messages in this browser are deleted, also those that you have sent. They are kept nowhere else.
      </p>
      {problem ? (
        <p class="problem" role="alert">
          {problem}
        </p>
      ) : (
        <p class="hint" aria-hidden="true">
          {leftS > 0 ? `Logging out in ${leftS} s` : 'Logging out…'}
        </p>
      )}
      <div class="buttons">
        <button type="button" onClick={onCancel}>
          Cancel
        </button>
        <button
          type="button"
          class="primary danger"
          aria-disabled={busy}
          onClick={() => (leftS > 0 ? setLeftS(0) : logOut())}
        >
          Log out now
        </button>
      </div>
    </Dialog>
  )
}
