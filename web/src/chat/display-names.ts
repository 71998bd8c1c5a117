import { RestanteProblem, type Session } from 'restante-client'
import { nameConversation } from './messages.ts'
import { ignoreClosed, type Storage } from './storage.ts'

const BATCH_SIZE = 20

export interface DisplayNamesParts {
  storage: Storage
  session: () => Session
  signal: AbortSignal
  onChanged: (conversations: string[]) => void
}

/** Fetches the display names of new users in the list, because messages contain usernames only. */
export class DisplayNames {
  readonly #parts: DisplayNamesParts
  #asking: Promise<unknown> = Promise.resolve()

  constructor(parts: DisplayNamesParts) {
    this.#parts = parts
  }

  /** Fetches one at a time. A failed one is fetched again with the next message. */
  learn(usernames: Iterable<string>) {
    this.#asking = this.#asking.then(() => this.#learnAll([...usernames])).catch(ignoreClosed)
  }

  async #learnAll(usernames: string[]) {
    const { storage, signal } = this.#parts
    const records = await storage.read((transaction) =>
      Promise.all(usernames.map((username) => transaction.conversation(username))),
    )
    const unnamed = records.flatMap((record) => (record && !record.named ? [record.username] : []))
    // In batches, because each change renders the whole list again.
    while (unnamed.length > 0 && !signal.aborted) await this.#learn(unnamed.splice(0, BATCH_SIZE))
  }

  async #learn(usernames: string[]) {
    const { storage, signal, onChanged } = this.#parts
    const names = new Map<string, string>()
    for (const username of usernames) {
      if (signal.aborted) return
      const displayName = await this.#ask(username)
      if (displayName !== undefined) names.set(username, displayName)
    }
    await storage.write(async (transaction) => {
      for (const [username, displayName] of names) await nameConversation(transaction, username, displayName)
    })
    onChanged([...names.keys()])
  }

  async #ask(username: string): Promise<string | undefined> {
    try {
      return (await this.#parts.session().getUser(username)).displayName
    } catch (error) {
      if (!(error instanceof RestanteProblem)) throw error
      return undefined
    }
  }
}
