import { useEffect, useRef, useState } from 'preact/hooks'
import type { App } from '../chat/types.ts'
import { Field } from '../ui/field.tsx'
import { isTouch } from '../ui/focus.ts'
import { Logo } from '../ui/icon.tsx'
import { fieldProblem, hasCode, problemText } from '../ui/problem.ts'
import { inviteCode, replaceRoute } from '../ui/route.ts'
import { StoredAccounts } from './stored-accounts.tsx'

type Mode = 'login' | 'create'

/**
 * One form for login and registration. The button of the other mode submits at once if the form is complete.
 */
export function Login({ app }: { app: App }) {
  const [invite] = useState(inviteCode)
  const [mode, setMode] = useState<Mode>(invite ? 'create' : 'login')
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)
  const endedSession = app.endedSession.value
  const isCreate = mode === 'create'
  const isElsewhere = hasCode(error, 'already_online')

  // Not on touch screens, where the keyboard would cover the page.
  useEffect(() => {
    if (!isTouch()) emptyField(form.current)?.focus()
  }, [])

  const submit = async (as: Mode, takeover = false) => {
    if (!form.current || busy) return
    const data = new FormData(form.current)
    const text = (name: string) => String(data.get(name) ?? '')
    const [username, password] = [text('username').trim(), text('password')]
    if (!username || !password) return setError(new Missing(username ? 'password' : 'username'))
    setBusy(true)
    setError(undefined)
    try {
      if (as === 'login') await app.login({ username, password, ...(takeover && { takeover }) })
      else {
        const displayName = text('displayName').trim()
        const code = text('invite').trim()
        await app.register({
          username,
          password,
          ...(displayName && { displayName }),
          ...(code && { invite: code }),
        })
        if (invite) replaceRoute('#/')
      }
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }

  const choose = (chosen: Mode) => {
    if (chosen !== mode) {
      setMode(chosen)
      setError(undefined)
      const empty = emptyField(form.current)
      if (empty) {
        empty.focus()
        return
      }
    }
    void submit(chosen)
  }

  const other = isCreate ? 'login' : 'create'
  return (
    <main class="login">
      <header>
        <Logo />
        <h1>Restante</h1>
        <p>One-to-one messages, kept until they are called for.</p>
      </header>
      <form
        ref={form}
        class="card"
        noValidate
        aria-label={NAMES[mode]}
        onSubmit={(event) => {
          event.preventDefault()
          choose(mode)
        }}
      >
        {endedSession && !error && (
          <p class="note" role="alert">
            You have been logged out. {problemText(endedSession.reason)}
          </p>
        )}
        {error !== undefined && !isElsewhere && !(error instanceof Missing) && (
          <p class="problem" role="alert">
            {problemText(error)}
          </p>
        )}
        <Field
          label="Username"
          name="username"
          value={endedSession?.username}
          autoComplete="username"
          plain
          hint={
            isCreate ? '3 to 32 of a to z, digits, dot, dash, underscore. It cannot be changed.' : undefined
          }
          problem={problemAt(error, 'username')}
        />
        <Field
          label="Password"
          name="password"
          password
          autoComplete={isCreate ? 'new-password' : 'current-password'}
          hint={isCreate ? 'At least 8 characters. Nobody can restore it for you.' : undefined}
          problem={problemAt(error, 'password')}
        />
        {isCreate && (
          <>
            <Field
              label="Display name (optional)"
              name="displayName"
              autoComplete="name"
              maxLength={64}
              problem={problemAt(error, 'displayName')}
            />
            {(invite || hasCode(error, 'invalid_invite')) && (
              <Field
                label="Invite code"
                name="invite"
                value={invite}
                plain
                problem={problemAt(error, 'invite')}
              />
            )}
          </>
        )}
        {isElsewhere ? (
          <Elsewhere onYes={() => void submit('login', true)} onNo={() => setError(undefined)} />
        ) : (
          <div class="login-buttons">
            <button type="submit" class="primary" aria-disabled={busy}>
              {NAMES[mode]}
            </button>
            <button type="button" aria-disabled={busy} onClick={() => choose(other)}>
              {NAMES[other]}
            </button>
          </div>
        )}
      </form>
      <StoredAccounts app={app} />
      <footer>
        <p>
          Your messages are kept in this browser only: the server deletes them after you have received them,
          and logging out deletes them here.
        </p>
        <p>
          For programs: <a href="docs/">the API reference</a>
        </p>
      </footer>
    </main>
  )
}

const NAMES = { login: 'Log in', create: 'Create account' } as const

/** The first empty field: the username or the password. */
const emptyField = (form: HTMLFormElement | null) =>
  [...(form?.querySelectorAll<HTMLInputElement>('[name=username], [name=password]') ?? [])].find(
    ({ value }) => !value,
  )

/** A field that was left empty. */
class Missing {
  readonly member: string

  constructor(member: string) {
    this.member = member
  }
}

const problemAt = (error: unknown, member: string) =>
  error instanceof Missing && error.member === member ? `Enter your ${member}.` : fieldProblem(error, member)

function Elsewhere({ onYes, onNo }: { onYes: () => void; onNo: () => void }) {
  return (
    <div class="note" role="alert">
      <p>You are logged in elsewhere. Log in here and end that session?</p>
      <div class="buttons">
        <button type="button" onClick={onNo}>
          Cancel
        </button>
        <button type="button" class="primary" onClick={onYes}>
          Log in here
        </button>
      </div>
    </div>
  )
}
