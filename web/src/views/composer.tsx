import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Chat, OpenConversation } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { isTouch } from '../ui/focus.ts'
import { Icon } from '../ui/icon.tsx'
import { Name } from '../ui/text.tsx'

const LENGTH_MAX = 16_384
/** From this length on, the remaining characters are shown. */
const LENGTH_NEAR = 16_000

/** The input for a message. The textarea owns its text, which is saved as a draft. */
export function Composer({ chat, open }: { chat: Chat; open: OpenConversation }) {
  const box = useRef<HTMLTextAreaElement>(null)
  const [length, setLength] = useState(0)
  const [problem, setProblem] = useState<string>()
  // The text survives while the textarea is removed, as when the user is blocked and unblocked.
  const written = useRef<string | undefined>(undefined)
  const { blocked, gone } = open
  const canWrite = !gone.value && !blocked.value
  const excess = length - LENGTH_MAX

  const onText = () => {
    const { current: area } = box
    if (!area) return
    grow(area)
    setLength(lengthOf(area.value))
    setProblem(undefined)
  }

  useEffect(() => {
    const { current: area } = box
    if (!area) return
    if (!isTouch()) area.focus()
    const isLoaded = () => written.current !== undefined
    const restore = (text: string) => {
      // The user has already typed.
      if (!area.isConnected || area.value) return
      written.current = text
      area.value = text
      onText()
    }
    if (isLoaded()) restore(written.current ?? '')
    else void open.draft.then(restore)
    const saveNow = () => isLoaded() && open.saveDraft(area.value, true)
    const saveIfHidden = () => document.visibilityState === 'hidden' && saveNow()
    addEventListener('pagehide', saveNow)
    document.addEventListener('visibilitychange', saveIfHidden)
    return () => {
      removeEventListener('pagehide', saveNow)
      document.removeEventListener('visibilitychange', saveIfHidden)
      saveNow()
    }
  }, [open, canWrite])
  useLayoutEffect(() => {
    if (box.current) grow(box.current)
  })

  const send = async () => {
    const { current: area } = box
    if (!area?.value.trim()) return
    const body = area.value
    if (lengthOf(body) > LENGTH_MAX) return announce(tooLong(lengthOf(body)))
    area.value = ''
    written.current = ''
    onText()
    area.focus()
    try {
      await open.send(body)
      open.saveDraft(area.value, true)
    } catch {
      if (!area.value) area.value = body
      onText()
      setProblem('The message could not be kept in this browser, so it was not sent. Try again.')
    }
  }

  if (gone.value)
    return <p class="composer-note">This account has been deleted. It takes no more messages.</p>
  if (blocked.value) return <BlockedNote chat={chat} open={open} />
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      {(problem || length > LENGTH_NEAR) && (
        <p id="composer-hint" class={problem || excess > 0 ? 'hint bad' : 'hint'}>
          {problem ?? (excess > 0 ? tooLong(length) : `${number(-excess)} characters left`)}
        </p>
      )}
      <textarea
        ref={box}
        rows={1}
        dir="auto"
        aria-label="Message"
        aria-describedby={problem || length > LENGTH_NEAR ? 'composer-hint' : undefined}
        aria-invalid={excess > 0}
        placeholder="Message"
        enterkeyhint={isTouch() ? 'enter' : 'send'}
        onInput={(event) => {
          written.current = event.currentTarget.value
          onText()
          open.saveDraft(event.currentTarget.value)
        }}
        onKeyDown={(event) => {
          // Enter also ends a composition, such as a Japanese word (229): that does not send.
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
          if (isTouch()) return
          event.preventDefault()
          void send()
        }}
      />
      <button type="submit" class="send" aria-label="Send" title="Send" disabled={length === 0 || excess > 0}>
        <Icon name="send" />
      </button>
    </form>
  )
}

function BlockedNote({ chat, open }: { chat: Chat; open: OpenConversation }) {
  const { busy, problem, run } = useAction()
  return (
    <p class="composer-note">
      You have blocked <Name>{open.displayName.value}</Name>.{' '}
      <button
        type="button"
        class="link"
        aria-disabled={busy}
        onClick={() => void run(() => chat.unblock(open.username))}
      >
        Unblock to write
      </button>
      {problem && (
        <span class="hint bad" role="alert">
          {' '}
          {problem}
        </span>
      )}
    </p>
  )
}

/** Makes the textarea as high as its text, up to the limit in the style sheet. */
function grow(area: HTMLTextAreaElement) {
  area.style.height = 'auto'
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`
}

/** The length in code points, as the server counts. */
function lengthOf(text: string) {
  if (text.length < LENGTH_NEAR) return text.length
  let length = 0
  for (const _ of text) length++
  return length
}

const number = (value: number) => value.toLocaleString('en')
const tooLong = (length: number) =>
  `A message has at most ${number(LENGTH_MAX)} characters. This one has ${number(length)}.`
