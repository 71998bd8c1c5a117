import { useState } from 'preact/hooks'
import type { App } from '../chat/types.ts'
import { announce } from '../ui/announcer.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Name } from '../ui/text.tsx'

/** Accounts that are logged out, but whose messages are still stored here. */
export function StoredAccounts({ app }: { app: App }) {
  const names = app.storedAccounts.value
  const [asked, setAsked] = useState<string>()
  if (names.length === 0) return null
  const forget = async (name: string) => {
    setAsked(undefined)
    await app.forget(name)
    announce(`The messages of ${name} are deleted.`)
  }
  return (
    <section class="card stored-accounts" aria-label="Stored in this browser">
      {names.map((name) => (
        <p key={name}>
          <span>
            Messages of <Name>{name}</Name> are kept here. Log in to see them.
          </span>
          <button type="button" class="link danger" onClick={() => setAsked(name)}>
            Delete its messages
          </button>
        </p>
      ))}
      {asked && (
        <Dialog title={`Delete the messages of ${asked}?`} onClose={() => setAsked(undefined)}>
          <p>They are deleted from this browser, for good. The account stays.</p>
          <div class="buttons">
            <button type="button" onClick={() => setAsked(undefined)}>
              Cancel
            </button>
            <button type="button" class="primary danger" onClick={() => void forget(asked)}>
              Delete messages
            </button>
          </div>
        </Dialog>
      )}
    </section>
  )
}
