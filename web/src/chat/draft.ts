import { changeConversation, ensureConversation } from './messages.ts'
import type { StoredText } from './session-store.ts'
import { ignoreClosed, type Storage } from './storage.ts'

const KEEP_AFTER_MS = 500

/** Saves the text that is being written in a conversation. */
export class Draft {
  readonly #storage: Storage
  readonly #username: string
  readonly #unsaved: StoredText
  readonly #onChanged: () => void
  #text: string | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(storage: Storage, username: string, unsaved: StoredText, onChanged: () => void) {
    this.#storage = storage
    this.#username = username
    this.#unsaved = unsaved
    this.#onChanged = onChanged
  }

  /** The text that the page had no time to write to the database when it was left. */
  restore(): string | undefined {
    const text = this.#unsaved.get()
    if (text !== undefined) this.save(text, false)
    return text
  }

  save(text: string, atOnce: boolean) {
    this.#text = text
    clearTimeout(this.#timer)
    if (atOnce) {
      this.#unsaved.set(text)
      void this.flush()
    } else this.#timer = setTimeout(() => void this.flush(), KEEP_AFTER_MS)
  }

  /** The text was sent as a message. */
  sent() {
    clearTimeout(this.#timer)
    this.#text = undefined
    this.#unsaved.delete()
  }

  async flush() {
    clearTimeout(this.#timer)
    const draft = this.#text
    if (draft === undefined) return
    this.#text = undefined
    await this.#storage
      .write(async (transaction) => {
        if (draft !== '') await ensureConversation(transaction, this.#username)
        await changeConversation(transaction, this.#username, { draft })
      })
      .then(this.#onChanged)
      .catch(ignoreClosed)
      .finally(() => {
        if (this.#unsaved.get() === draft) this.#unsaved.delete()
      })
  }
}
