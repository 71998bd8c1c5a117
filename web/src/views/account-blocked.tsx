import type { Chat } from '../chat/types.ts'
import { useAction, useLoaded } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { Entries } from '../ui/entries.tsx'
import { Name } from '../ui/text.tsx'

export function Blocked({ chat }: { chat: Chat }) {
  const { value: blocks, problem: unknown, reload } = useLoaded(() => chat.session.listBlocks())
  const { busy, problem, run } = useAction()
  const unblock = async (username: string) => {
    if (await run(() => chat.unblock(username))) announce(`${username} is unblocked.`)
    await reload()
  }
  return (
    <Entries label="Blocked users" entries={blocks} problem={problem ?? unknown} empty="Nobody is blocked.">
      {({ username }) => (
        <li key={username}>
          <Name>{username}</Name>
          <button type="button" class="link" aria-disabled={busy} onClick={() => void unblock(username)}>
            Unblock
          </button>
        </li>
      )}
    </Entries>
  )
}
