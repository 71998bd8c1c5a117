import { useState } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import { fieldProblem, hasCode } from '../ui/problem.ts'

export function DeleteAccount({ chat }: { chat: Chat }) {
  const [asking, setAsking] = useState(false)
  return (
    <>
      <div class="buttons">
        <button type="button" class="danger" onClick={() => setAsking(true)}>
          Delete account…
        </button>
      </div>
      {asking && <Question chat={chat} onClose={() => setAsking(false)} />}
    </>
  )
}

function Question({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const { busy, error, problem, run } = useAction()
  const isAboutPassword = hasCode(error, 'wrong_password') || hasCode(error, 'invalid_request')
  return (
    <Dialog title="Delete your account?" onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          const password = String(new FormData(event.currentTarget).get('password'))
          void run(() => chat.deleteAccount(password))
        }}
      >
        <p>
          The account <strong>{chat.username}</strong> is deleted for good: its inbox with all that is unread,
          its sessions and tokens, and the messages in this browser. Nobody can have its name again, not even
          you.
        </p>
        <Field
          label="Your password"
          name="password"
          password
          autoComplete="current-password"
          problem={isAboutPassword ? (fieldProblem(error, 'password') ?? problem) : undefined}
          autoFocus
        />
        {problem && !isAboutPassword && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary danger" aria-disabled={busy}>
            Delete account
          </button>
        </div>
      </form>
    </Dialog>
  )
}
