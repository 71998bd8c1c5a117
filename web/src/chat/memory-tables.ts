import type { ConversationRecord, Facts, StoredRow, StoredSentRow, Tables, Transaction } from './tables.ts'

/** How many rows per conversation are copied. */
const COPIED_ROWS = 200

/** Replaces IndexedDB where that does not work. */
export class MemoryTables implements Tables {
  readonly #rows = new Map<number, StoredRow>()
  readonly #conversations = new Map<string, ConversationRecord>()
  readonly #receipts = new Map<string, Set<string>>()
  readonly #facts: Partial<Facts> = {}
  #newestPlace = 0
  #last: Promise<unknown> = Promise.resolve()

  /** Runs transactions one after the other, as IndexedDB does. */
  run<T>(_mode: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => work(this.#transaction))
    this.#last = result.catch(() => {})
    return result
  }

  close() {}

  /** Copies what can still be read. */
  async copy(from: Transaction) {
    this.#newestPlace = await from.newestPlace()
    for (const row of await from.queued()) this.#rows.set(row.place, row)
    for (const record of await from.conversations()) {
      this.#conversations.set(record.username, record)
      for (const row of await from.rows(record.username, { limit: COPIED_ROWS }))
        this.#rows.set(row.place, row)
    }
    this.#facts.blocks = (await from.fact('blocks')) ?? []
    this.#facts.gap = await from.fact('gap')
  }

  #select(test: (row: StoredRow) => boolean): StoredRow[] {
    return [...this.#rows.values()].filter(test).sort((a, b) => a.place - b.place)
  }

  readonly #transaction: Transaction = {
    row: async (place) => this.#rows.get(place),
    rowByMark: async (mark) => this.#select((row) => row.mark === mark)[0],
    rows: async (username, { from = 0, before = Infinity, limit = Infinity }) => {
      const rows = this.#select((row) => row.with === username && row.place >= from && row.place < before)
      return rows.slice(Math.max(0, rows.length - limit))
    },
    queued: async (username) =>
      this.#select(
        (row) => row.kind === 'sent' && row.queued !== undefined && row.queued === (username ?? row.queued),
      ) as StoredSentRow[],
    newestPlace: async () => this.#newestPlace,
    addRow: async (row) => {
      this.#newestPlace += 1
      this.#rows.set(this.#newestPlace, { ...row, place: this.#newestPlace })
    },
    putRow: async (row) => void this.#rows.set(row.place, row),
    deleteRow: async (place) => void this.#rows.delete(place),
    conversation: async (username) => this.#conversations.get(username),
    conversations: async () => [...this.#conversations.values()],
    putConversation: async (record) => void this.#conversations.set(record.username, record),
    deleteConversation: async (username) => {
      for (const { place } of this.#select((row) => row.with === username)) this.#rows.delete(place)
      this.#conversations.delete(username)
    },
    addReceipt: async (username, id) => {
      this.#receipts.set(username, new Set(this.#receipts.get(username)).add(id))
    },
    hasReceipt: async (username, id) => this.#receipts.get(username)?.has(id) ?? false,
    deleteReceipts: async (username) => void this.#receipts.delete(username),
    fact: async (name) => this.#facts[name],
    putFact: async (name, value) => {
      this.#facts[name] = value
    },
  }
}
