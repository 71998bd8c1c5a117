import { useRef, useState } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { useAction, useLoaded } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { copy } from '../ui/copy.ts'
import { Entries } from '../ui/entries.tsx'
import { Field } from '../ui/field.tsx'
import { Form } from '../ui/form.tsx'
import { fieldProblem } from '../ui/problem.ts'
import { serverUrl } from '../ui/route.ts'
import { date } from '../ui/time.ts'

export function Tokens({ chat }: { chat: Chat }) {
  const { value: tokens, problem: unknown, reload } = useLoaded(() => chat.session.listTokens())
  const creation = useAction()
  const { busy, problem, run } = useAction()
  const [made, setMade] = useState<{ id: string; name: string; token: string }>()

  const create = async (text: (name: string) => string) => {
    const name = text('name').trim()
    if (!(await creation.run(async () => setMade(await chat.session.createToken({ name }))))) return
    announce('Token created. Copy it now: it is shown only once.')
    await reload()
  }
  const revoke = async (id: string) => {
    if (await run(() => chat.session.revokeToken(id))) announce('Token revoked.')
    if (made?.id === id) setMade(undefined)
    await reload()
  }

  return (
    <>
      <Entries
        label="Application tokens"
        entries={tokens}
        problem={problem ?? unknown}
        empty="You have none."
      >
        {({ id, name, createdAt, expiresAt }) => (
          <li key={id}>
            <span>
              <strong dir="auto">{name}</strong>
              <small>
                Created on {date(Date.parse(createdAt))}
                {expiresAt && `, expires on ${date(Date.parse(expiresAt))}`}
              </small>
            </span>
            <button type="button" class="link danger" aria-disabled={busy} onClick={() => void revoke(id)}>
              Revoke
            </button>
          </li>
        )}
      </Entries>
      {made && <Made name={made.name} token={made.token} to={chat.username} />}
      <Form
        key={made?.id}
        button="Create token"
        busy={creation.busy}
        problem={creation.problem}
        onSubmit={create}
      >
        <Field
          label="Name of the new token"
          name="name"
          hint="Its purpose, such as backup script or doorbell"
          maxLength={64}
          problem={fieldProblem(creation.error, 'name')}
        />
      </Form>
    </>
  )
}

/** Shows a new token, once, with a command that sends a message to oneself. */
function Made({ name, token, to }: { name: string; token: string; to: string }) {
  const command = `curl -H 'Authorization: Bearer ${token}' -d 'Hello' ${serverUrl()}/v1/users/${to}/messages`
  return (
    <div class="note made">
      <p>
        The token <strong dir="auto">{name}</strong> is shown only now. Copy it before you leave this page.
      </p>
      <Copyable what="token" text={token} />
      <p>Try it: this sends you a message.</p>
      <Copyable what="command" text={command} />
      <p>
        More requests are in <a href="docs/">the API reference</a>.
      </p>
    </div>
  )
}

function Copyable({ what, text }: { what: string; text: string }) {
  const code = useRef<HTMLElement>(null)
  const [copied, setCopied] = useState(false)
  const onCopy = async () => {
    const done = await copy(text, code.current)
    setCopied(done)
    announce(done ? `The ${what} is copied.` : `The ${what} is selected. Copy it with your keyboard.`)
  }
  return (
    <div class="copyable">
      <code ref={code}>{text}</code>
      <button type="button" aria-label={`Copy the ${what}`} onClick={() => void onCopy()}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </div>
  )
}
