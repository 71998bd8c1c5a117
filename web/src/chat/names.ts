import { RestanteProblem, type Session } from 'restante-client'
import { changeConversation } from './messages.ts'
import { ignoreClosed, type Storage } from './storage.ts'

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
    for (const record of records) {
      if (signal.aborted) return
      if (record && !record.named) await this.#learn(record.username)
    }
  }

  async #learn(username: string) {
    const { storage, session, onChanged } = this.#parts
    try {
      const { displayName } = await session().getUser(username)
      await storage.write((transaction) =>
        changeConversation(transaction, username, { displayName, named: true }),
      )
      onChanged([username])
    } catch (error) {
      if (!(error instanceof RestanteProblem)) throw error
    }
  }
}
