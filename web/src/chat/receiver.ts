import { type Message, RestanteProblem, type Session, type Store, type StoredSession } from 'restante-client'
import { receive } from './messages.ts'
import { ignoreClosed, type Storage } from './storage.ts'
import type { Connection } from './types.ts'

/** The pause after a response that the library cannot handle. */
const UNEXPECTED_PAUSE_MS = 60_000

export interface ReceiverParts {
  storage: Storage
  away: () => boolean
  onChanged: (conversations: Iterable<string>) => void
  onConnection: (connection: Connection) => void
}

/**
 * Receives messages in the leading tab. Collects the messages of a page and writes them in one transaction,
 * before the next request and before the cursor is saved. So only stored messages are acknowledged. A crash
 * in between repeats messages, which is harmless because of their IDs.
 */
export class Receiver {
  readonly #parts: ReceiverParts
  #messages: Message[] = []
  #keepCursor = () => {}
  #writing: Promise<unknown> = Promise.resolve()

  constructor(parts: ReceiverParts) {
    this.#parts = parts
  }

  /** The fetch of the receiving session: writes the collected messages first. */
  readonly fetch: typeof fetch = async (input, init) => {
    await this.#write()
    return globalThis.fetch(input, init)
  }

  /** The store of the receiving session: saves the cursor after the collected messages. */
  afterMessages(store: Store): Store {
    return {
      load: store.load,
      save: (session: StoredSession | undefined) => {
        if (!session) return store.save(session)
        if (this.#messages.length === 0) return this.#writing.then(() => store.save(session))
        this.#keepCursor = () => void store.save(session)
      },
    }
  }

  /** Resolves when the signal aborts or the session has ended. */
  async run(session: Session, signal: AbortSignal): Promise<void> {
    const { away, onConnection } = this.#parts
    while (!signal.aborted && !session.ended) {
      try {
        const inbox = session.inbox({
          signal,
          away,
          onGap: (gap) => this.#keepGap(gap),
          onState: (state) =>
            onConnection(
              state.state === 'waiting'
                ? { state: 'waiting', problem: state.problem, retryAtMs: Date.now() + state.retryInMs }
                : state,
            ),
        })
        for await (const message of inbox) this.#collect(message)
      } catch (problem) {
        if (!(problem instanceof RestanteProblem)) throw problem
        if (session.ended) break
        onConnection({ state: 'waiting', problem, retryAtMs: Date.now() + UNEXPECTED_PAUSE_MS })
        await pause(UNEXPECTED_PAUSE_MS, signal)
      }
    }
    await this.#write()
  }

  #collect(message: Message) {
    // When this runs, the loop has yielded the whole page.
    if (this.#messages.length === 0) setTimeout(() => void this.#write().catch(ignoreClosed))
    this.#messages.push(message)
  }

  /** Messages that arrive meanwhile are written next. */
  #write(): Promise<unknown> {
    if (this.#messages.length === 0) return this.#writing
    const messages = this.#messages
    const keepCursor = this.#keepCursor
    this.#messages = []
    this.#keepCursor = () => {}
    const { storage, onChanged } = this.#parts
    const writing = this.#writing.then(async () => {
      const changed = await storage.write((transaction) => receive(transaction, messages))
      keepCursor()
      onChanged(changed)
    })
    this.#writing = writing
    return writing
  }

  async #keepGap(gap: { from: number; to: number; reason: string }) {
    if (gap.reason === 'purged') return
    await this.#parts.storage.write(async (transaction) => {
      const { from = gap.from } = (await transaction.fact('gap')) ?? {}
      await transaction.putFact('gap', { ...gap, from: Math.min(from, gap.from) })
    })
    this.#parts.onChanged([])
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
