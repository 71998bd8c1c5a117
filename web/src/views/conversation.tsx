import { useEffect, useState } from 'preact/hooks'
import type { Chat, OpenConversation } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { isTouch, useFocus } from '../ui/focus.ts'
import { Avatar, Icon } from '../ui/icon.tsx'
import { Menu } from '../ui/menu.tsx'
import { goBack, replaceRoute } from '../ui/route.ts'
import { Name } from '../ui/text.tsx'
import { ago, now } from '../ui/time.ts'
import { Composer } from './composer.tsx'
import { Messages } from './messages.tsx'

export function Conversation({ chat, username }: { chat: Chat; username: string }) {
  const [open, setOpen] = useState<OpenConversation>()
  useEffect(() => {
    const opened = chat.open(username)
    setOpen(opened)
    return () => opened.close()
  }, [chat, username])
  if (open?.username !== username) return <div class="pane" />
  return (
    <section class="pane conversation" aria-label={`Conversation with ${open.displayName.value}`}>
      <Header chat={chat} open={open} />
      <Messages key={username} open={open} />
      <Composer key={`composer ${username}`} chat={chat} open={open} />
    </section>
  )
}

function Header({ chat, open }: { chat: Chat; open: OpenConversation }) {
  const [asking, setAsking] = useState(false)
  const { problem, run } = useAction()
  // On touch screens, focus the heading: the keyboard would cover the messages.
  const heading = useFocus<HTMLHeadingElement>(open)
  const name = open.displayName.value
  const isBlocked = open.blocked.value

  const toggleBlock = async () => {
    const done = await run(() => (isBlocked ? chat.unblock(open.username) : chat.block(open.username)))
    if (done) announce(isBlocked ? `${name} is unblocked.` : `${name} is blocked.`)
  }

  return (
    <header class="bar">
      <button type="button" class="icon-button back" aria-label="Back to the conversations" onClick={goBack}>
        <Icon name="back" />
      </button>
      <Avatar name={name} />
      <div class="who">
        <h1 ref={isTouch() ? heading : null} tabIndex={-1}>
          <Name>{name}</Name>
        </h1>
        <p>
          <span class="username">@{open.username}</span>
          <Presence open={open} />
        </p>
      </div>
      <Menu label="More">
        <button type="button" onClick={() => void toggleBlock()}>
          {isBlocked ? 'Unblock' : 'Block'} <Name>{name}</Name>
        </button>
        <button type="button" class="danger" onClick={() => setAsking(true)}>
          Delete conversation…
        </button>
      </Menu>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {asking && <Removal chat={chat} open={open} onClose={() => setAsking(false)} />}
    </header>
  )
}

function Presence({ open }: { open: OpenConversation }) {
  const presence = open.presence.value
  if (open.gone.value) return <span class="presence">deleted account</span>
  if (open.blocked.value) return <span class="presence">blocked</span>
  if (!presence) return null
  if (presence.online) return <span class="presence online">online</span>
  if (!presence.lastSeenAtMs) return null
  return <span class="presence">last seen {ago(presence.lastSeenAtMs, now.value)}</span>
}

function Removal({ chat, open, onClose }: { chat: Chat; open: OpenConversation; onClose: () => void }) {
  const remove = async () => {
    onClose()
    replaceRoute('#/')
    await chat.remove(open.username)
    announce('Conversation deleted.')
  }
  return (
    <Dialog title="Delete this conversation?" onClose={onClose}>
      <p>
        All its messages are deleted from this browser, for good. <Name>{open.displayName.value}</Name> keeps
        theirs.
      </p>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="primary danger" onClick={() => void remove()}>
          Delete conversation
        </button>
      </div>
    </Dialog>
  )
}
