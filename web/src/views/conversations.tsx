import { useEffect, useRef, useState } from 'preact/hooks'
import type { Chat, Conversation } from '../chat/types.ts'
import { useFocus } from '../ui/focus.ts'
import { Avatar, Icon, Logo } from '../ui/icon.tsx'
import { conversationHash, go, route } from '../ui/route.ts'
import { Name } from '../ui/text.tsx'
import { fullTime, listTime, now } from '../ui/time.ts'
import { LogOut } from './log-out.tsx'
import { Tick } from './message-row.tsx'
import { NewConversation } from './new-conversation.tsx'

/** More than fits on a line of the list. */
const PREVIEW_LENGTH = 200

/** The left pane: the conversations and the account. On a phone it is a page of its own. */
export function Conversations({ chat }: { chat: Chat }) {
  const [starting, setStarting] = useState(false)
  // Screen readers begin here after the login. An open conversation takes the focus.
  const heading = useFocus<HTMLHeadingElement>()
  const conversations = chat.conversations.value
  const open = route.value.view === 'conversation' ? route.value.username : undefined
  return (
    <nav class="list-pane" aria-label="All conversations">
      <header class="bar">
        <Logo />
        <h1 ref={heading} class="brand" tabIndex={-1}>
          Restante
        </h1>
        <button
          type="button"
          class="icon-button accent"
          aria-label="New conversation"
          title="New conversation"
          onClick={() => setStarting(true)}
        >
          <Icon name="new" />
        </button>
      </header>
      {conversations.length > 0 ? (
        // biome-ignore lint/a11y/noRedundantRoles: Safari does not treat a list without bullets as a list.
        <ul class="list" role="list" aria-label="Conversations">
          {conversations.map((conversation) => (
            <Line
              key={conversation.username}
              conversation={conversation}
              isOpen={conversation.username === open}
            />
          ))}
        </ul>
      ) : (
        <Welcome chat={chat} onStart={() => setStarting(true)} />
      )}
      <footer class="me">
        {/* biome-ignore lint/a11y/useValidAnchor: it is a link, that also opens in a new tab. */}
        <a
          href="#/account"
          aria-current={route.value.view === 'account' ? 'page' : undefined}
          onClick={(event) => follow(event, '#/account')}
        >
          <Avatar name={chat.displayName.value} />
          <span>
            <Name>{chat.displayName.value}</Name>
            <small>Account</small>
          </span>
        </a>
        <LogOut chat={chat} small />
      </footer>
      {starting && <NewConversation chat={chat} onClose={() => setStarting(false)} />}
    </nav>
  )
}

function Line({ conversation, isOpen }: { conversation: Conversation; isOpen: boolean }) {
  const { username, displayName, last, unread, blocked, hasDraft } = conversation
  const hash = conversationHash(username)
  const link = useRef<HTMLAnchorElement>(null)
  const wasOpen = useRef(false)
  // Back in the list, return the focus to the line that was open.
  useEffect(() => {
    if (wasOpen.current && route.value.view === 'list') link.current?.focus()
    wasOpen.current = isOpen
  }, [isOpen])
  return (
    <li>
      <a
        ref={link}
        class="line"
        href={hash}
        aria-current={isOpen ? 'page' : undefined}
        onClick={(event) => follow(event, hash)}
      >
        <Avatar name={displayName} />
        <span class="line-top">
          <Name>{displayName}</Name>
          {blocked && (
            <span class="mark" title="Blocked">
              <Icon name="blocked" />
              <span class="sr">Blocked</span>
            </span>
          )}
          {last && (
            <time dateTime={new Date(last.atMs).toISOString()} title={fullTime(last.atMs)}>
              {listTime(last.atMs, now.value)}
            </time>
          )}
        </span>
        <span class="line-bottom">
          {hasDraft && !isOpen && <span class="draft">Draft</span>}
          {last?.kind === 'sent' && <Tick state={last.state} />}
          <span class="preview" dir="auto">
            {last ? last.body.slice(0, PREVIEW_LENGTH) : 'No messages yet'}
          </span>
          {unread > 0 && (
            <span class="unread">
              {unread}
              <span class="sr"> unread</span>
            </span>
          )}
        </span>
      </a>
    </li>
  )
}

/** Shown instead of an empty list: what to do first. */
function Welcome({ chat, onStart }: { chat: Chat; onStart: () => void }) {
  return (
    <div class="list welcome">
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari does not treat a list without bullets as a list. */}
      <ul role="list" aria-label="Conversations" />
      <h2>No conversations yet</h2>
      <p>
        Your username is <strong class="my-name">{chat.username}</strong>. Anyone who knows it can write to
        you.
      </p>
      <p>
        Trying it alone? Open this page in a private window, create another account there, and write to it
        from here.
      </p>
      <button type="button" class="primary" onClick={onStart}>
        Start a conversation
      </button>
    </div>
  )
}

/** Shows another view, unless the link is opened in a new tab or window. */
function follow(event: MouseEvent, hash: string) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
  event.preventDefault()
  go(hash)
}
