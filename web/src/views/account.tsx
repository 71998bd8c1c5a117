import type { ComponentChildren } from 'preact'
import { useEffect, useId } from 'preact/hooks'
import type { Chat } from '../chat/types.ts'
import { useFocus } from '../ui/focus.ts'
import { Icon } from '../ui/icon.tsx'
import { goBack } from '../ui/route.ts'
import { Blocked } from './account-blocked.tsx'
import { DeleteAccount } from './account-delete.tsx'
import { Notifications } from './account-notifications.tsx'
import { DisplayName, Password, Presence } from './account-profile.tsx'
import { Sessions } from './account-sessions.tsx'
import { ThisApp } from './account-this-app.tsx'
import { Tokens } from './account-tokens.tsx'
import { LogOut } from './log-out.tsx'

export function Account({ chat }: { chat: Chat }) {
  const heading = useFocus<HTMLHeadingElement>()
  const { state } = chat.notifications
  useEffect(() => void chat.notifications.check(), [chat])
  return (
    <section class="pane account" aria-label="Account">
      <header class="bar">
        <button
          type="button"
          class="icon-button back"
          aria-label="Back to the conversations"
          onClick={goBack}
        >
          <Icon name="back" />
        </button>
        <div class="who">
          <h1 ref={heading} tabIndex={-1}>
            Account
          </h1>
          <p>
            <span class="username">@{chat.username}</span>
          </p>
        </div>
      </header>
      <div class="sections">
        <Section title="You">
          <DisplayName chat={chat} />
          <Presence chat={chat} />
        </Section>
        {state.value !== 'unknown' && state.value !== 'disabled' && (
          <Section title="Notifications">
            <Notifications notifications={chat.notifications} />
          </Section>
        )}
        <Section title="Password">
          <Password chat={chat} />
        </Section>
        <Section title="Sessions" about="Where you are logged in.">
          <Sessions chat={chat} />
        </Section>
        <Section
          title="Application tokens"
          about="For scripts and devices that send messages in your name. A token cannot read anything."
        >
          <Tokens chat={chat} />
        </Section>
        <Section title="Blocked users" about="Their messages are refused.">
          <Blocked chat={chat} />
        </Section>
        <Section title="This app">
          <ThisApp />
        </Section>
        <Section title="Leave">
          <p>
            Messages are kept in this browser only. Logging out deletes them here, also those that you have
            sent.
          </p>
          <div class="buttons on-phone">
            <LogOut chat={chat} />
          </div>
          <DeleteAccount chat={chat} />
        </Section>
      </div>
    </section>
  )
}

function Section(props: { title: string; about?: string; children: ComponentChildren }) {
  const id = useId()
  return (
    <section class="card" aria-labelledby={id}>
      <h2 id={id}>{props.title}</h2>
      {props.about && <p class="about">{props.about}</p>}
      {props.children}
    </section>
  )
}
