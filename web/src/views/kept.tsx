import type { App } from '../chat/types.ts'
import { announce } from '../ui/announcer.tsx'
import { Name } from '../ui/text.tsx'

/** Accounts that are logged out, with messages that are still here. */
export function Kept({ app }: { app: App }) {
  const names = app.kept.value
  if (names.length === 0) return null
  const forget = async (name: string) => {
    await app.forget(name)
    announce(`The messages of ${name} are deleted.`)
  }
  return (
    <section class="card kept" aria-label="Kept in this browser">
      {names.map((name) => (
        <p key={name}>
          <span>
            Messages of <Name>{name}</Name> are kept here. Log in to see them.
          </span>
          <button type="button" class="link danger" onClick={() => void forget(name)}>
            Delete its messages
          </button>
        </p>
      ))}
    </section>
  )
}
