import { RestanteProblem, type Session } from 'restante-client'
import { nameConversation } from './messages.ts'
import { ignoreClosed, type Storage } from './storage.ts'

const TOLD_TOGETHER = 20

export interface NamesParts {
  storage: Storage
  session: () => Session
  signal: AbortSignal
  onChanged: (conversations: string[]) => void
}

/** Asks for the display names of new people in the list: messages carry usernames only. */
export class Names {
  readonly #parts: NamesParts
  #asking: Promise<unknown> = Promise.resolve()

  constructor(parts: NamesParts) {
    this.#parts = parts
  }

  /** One after the other. A name that the server does not tell now is asked for with the next message. */
  learn(usernames: Iterable<string>) {
    this.#asking = this.#asking.then(() => this.#learnAll([...usernames])).catch(ignoreClosed)
  }

  async #learnAll(usernames: string[]) {
    const { storage, signal } = this.#parts
    const records = await storage.read((transaction) =>
      Promise.all(usernames.map((username) => transaction.conversation(username))),
    )
    const unnamed = records.flatMap((record) => (record && !record.named ? [record.username] : []))
    // To tell each name alone would draw a long list for each of them.
    while (unnamed.length > 0 && !signal.aborted) await this.#learn(unnamed.splice(0, TOLD_TOGETHER))
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
