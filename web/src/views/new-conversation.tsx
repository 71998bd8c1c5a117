import { useState } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Field } from '../ui/field.tsx'
import { hasCode, problemText } from '../ui/problem.ts'
import { conversationHash, go } from '../ui/route.ts'

export function NewConversation({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const [problem, setProblem] = useState<string>()
  const [busy, setBusy] = useState(false)

  const start = async (form: HTMLFormElement) => {
    if (busy) return
    const username = String(new FormData(form).get('username')).trim().replace(/^@/, '').toLowerCase()
    if (!username) return setProblem('Enter a username.')
    if (username === chat.username) return setProblem('This is your own username.')
    setBusy(true)
    try {
      await chat.start(username)
      onClose()
      go(conversationHash(username))
    } catch (error) {
      // Nobody can have a name that breaks the rules.
      setProblem(hasCode(error, 'invalid_request') ? 'There is no user with this name.' : problemText(error))
      setBusy(false)
    }
  }

  return (
    <Dialog title="New conversation" onClose={onClose}>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void start(event.currentTarget)
        }}
      >
        <Field
          label="Username"
          name="username"
          hint="Ask the other person for it. It is not their display name."
          problem={problem}
          plain
          autoFocus
        />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" aria-disabled={busy}>
            Start
          </button>
        </div>
      </form>
    </Dialog>
  )
}
