import { useState } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { useAction, useLoaded } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { Field } from '../ui/field.tsx'
import { Form } from '../ui/form.tsx'
import { fieldProblem, hasCode } from '../ui/problem.ts'

export function DisplayName({ chat }: { chat: Chat }) {
  const { busy, error, problem, run } = useAction()
  const [saved, setSaved] = useState(false)
  const save = async (text: (name: string) => string) => {
    const done = await run(() => chat.updateDisplayName(text('displayName').trim()))
    setSaved(done)
    if (done) announce('Display name saved.')
  }
  return (
    <Form button="Save" busy={busy} problem={problem} onSubmit={save}>
      <Field
        label="Display name"
        name="displayName"
        value={chat.displayName.value}
        autoComplete="name"
        maxLength={64}
        hint={saved ? 'Saved.' : 'Others see it beside your username.'}
        problem={fieldProblem(error, 'displayName')}
      />
    </Form>
  )
}

export function Presence({ chat }: { chat: Chat }) {
  const { value: me, problem: unknown, reload } = useLoaded(() => chat.session.getMe())
  const { problem, run } = useAction()
  const change = async (shown: boolean) => {
    await run(() => chat.session.updateMe({ presence: shown ? 'everyone' : 'nobody' }))
    await reload()
  }
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={me?.presence === 'everyone'}
          disabled={!me}
          onChange={(event) => void change(event.currentTarget.checked)}
        />
        <span>Show when I am online, and when I was last seen</span>
      </label>
      {(problem ?? unknown) && (
        <p class="problem" role="alert">
          {problem ?? unknown}
        </p>
      )}
    </>
  )
}

export function Password({ chat }: { chat: Chat }) {
  const { busy, error, problem, run } = useAction()
  // A new key makes a new, empty form.
  const [changes, setChanges] = useState(0)
  const isWrong = hasCode(error, 'wrong_password')
  const change = async (text: (name: string) => string) => {
    const passwords = { current: text('current'), new: text('new') }
    if (!(await run(() => chat.session.changePassword(passwords)))) return
    setChanges(changes + 1)
    announce('Password changed. Your other sessions have ended.')
  }
  return (
    <Form
      key={changes}
      button="Change password"
      busy={busy}
      problem={isWrong ? undefined : problem}
      onSubmit={change}
    >
      <input
        class="sr"
        type="text"
        name="username"
        autocomplete="username"
        value={chat.username}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      <Field
        label="Current password"
        name="current"
        password
        autoComplete="current-password"
        problem={isWrong ? problem : fieldProblem(error, 'current')}
      />
      <Field
        label="New password"
        name="new"
        password
        autoComplete="new-password"
        hint={
          changes > 0
            ? 'The password is changed. Your other sessions have ended.'
            : 'At least 8 characters. The change ends your other sessions.'
        }
        problem={fieldProblem(error, 'new')}
      />
    </Form>
  )
}
