import { useEffect, useLayoutEffect } from 'preact/hooks'
import type { App, Chat } from '../chat/types.ts'
import { Announcer } from '../ui/announcer.tsx'
import { Logo } from '../ui/icon.tsx'
import { replaceRoute, route } from '../ui/route.ts'
import { Account } from './account.tsx'
import { Conversation } from './conversation.tsx'
import { Conversations } from './conversations.tsx'
import { Login } from './login.tsx'
import { Notices, UpdateBar } from './notices.tsx'

export function Page({ app }: { app: App }) {
  const chat = app.chat.value
  return (
    <>
      {app.state.value === 'starting' && <main class="starting" aria-busy="true" aria-label="Restante" />}
      {app.state.value === 'logged-out' && (
        <>
          <UpdateBar />
          <Login app={app} />
        </>
      )}
      {app.state.value === 'logged-in' && chat && <LoggedIn key={chat.username} app={app} chat={chat} />}
      <Announcer />
    </>
  )
}

/** The last user who was logged in here. */
let lastUsername: string | undefined

/** Two panes; a phone shows one of them: layout.css. */
function LoggedIn({ app, chat }: { app: App; chat: Chat }) {
  const { view } = route.value
  // Do not show a user the view of another one.
  useLayoutEffect(() => {
    if (lastUsername !== undefined && lastUsername !== chat.username) replaceRoute('#/')
    lastUsername = chat.username
  }, [chat])
  // After a session that ended by itself, the user returns to the same view. A logout resets it.
  useEffect(
    () => () => {
      if (!app.endedSession.peek()) replaceRoute('#/')
    },
    [app],
  )
  return (
    <main class={`chat show-${view}`}>
      <Notices chat={chat} />
      <Conversations chat={chat} />
      <Pane chat={chat} />
    </main>
  )
}

function Pane({ chat }: { chat: Chat }) {
  const shown = route.value
  switch (shown.view) {
    case 'account':
      return <Account chat={chat} />
    case 'conversation':
      return <Conversation chat={chat} username={shown.username} />
    case 'list':
      return (
        <div class="pane nothing">
          <Logo />
          <p>Choose a conversation, or start a new one.</p>
        </div>
      )
  }
}
