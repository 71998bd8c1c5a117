import { RestanteProblem, type Session } from 'restante-client'
import { applyAnswer, isKeyExpired } from './messages.ts'
import { ignoreClosed, type Storage } from './storage.ts'
import type { StoredSentRow } from './tables.ts'

const EXPIRED = {
  code: 'not_answered',
  detail:
    'The server has not answered for 23 hours. The message may have been sent; if you send it again, it may arrive twice.',
}

export interface OutboxParts {
  storage: Storage
  session: Session
  signal: AbortSignal
  onChanged: (conversations: string[]) => void
  /** Called when the server has accepted a message, so pauses for its sake can end. */
  onAnswer: () => void
}

/**
 * Sends queued rows, in order within each conversation, so a blocked conversation delays no other. After a
 * lost response or a reload, a send is repeated with its key, so the recipient gets one message.
 */
export class Outbox {
  readonly #parts: OutboxParts
  readonly #busy = new Map<string, Promise<void>>()

  constructor(parts: OutboxParts) {
    this.#parts = parts
  }

  /** Sends the rows that are queued. */
  async check() {
    const rows = await this.#parts.storage.read((transaction) => transaction.queued())
    for (const username of new Set(rows.map((row) => row.with))) {
      if (this.#busy.has(username)) continue
      const sending = this.#sendAll(username).finally(() => this.#busy.delete(username))
      this.#busy.set(username, sending)
      sending.catch(ignoreClosed)
    }
  }

  /** Resolves when the signal has ended all sends. */
  async ended() {
    await Promise.allSettled(this.#busy.values())
  }

  async #sendAll(username: string) {
    const { storage, signal } = this.#parts
    while (!signal.aborted) {
      const [row] = await storage.read((transaction) => transaction.queued(username))
      if (!row || !(await this.#send(row))) return
    }
  }

  /** @returns whether the row is answered */
  async #send(row: StoredSentRow): Promise<boolean> {
    const { storage, onChanged } = this.#parts
    const answer = isKeyExpired(row) ? EXPIRED : await this.#ask(row)
    if (!answer) return false
    await storage.write((transaction) => applyAnswer(transaction, row.place, answer))
    onChanged([row.with])
    return true
  }

  async #ask({ with: to, body, key: idempotencyKey }: StoredSentRow) {
    const { session, signal } = this.#parts
    try {
      const sent = await session.send(to, body, { receipt: true, idempotencyKey, signal })
      this.#parts.onAnswer()
      return sent
    } catch (error) {
      if (signal.aborted || session.ended) return undefined
      if (!(error instanceof RestanteProblem)) throw error
      const { code, detail, status } = error
      return status >= 400 && status < 500 && status !== 408 && status !== 429 ? { code, detail } : EXPIRED
    }
  }
}
