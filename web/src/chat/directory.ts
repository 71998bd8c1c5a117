import { batch, computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import type { Storage } from './storage.ts'
import type { ConversationRecord, Facts, StoredRow } from './tables.ts'
import type { Conversation } from './types.ts'

interface Entry {
  record: ConversationRecord
  last: StoredRow | undefined
}

/** Holds the list of conversations and the facts about the account, loaded from the storage. */
export class Directory {
  readonly #storage: Storage
  readonly #entries: Signal<ReadonlyMap<string, Entry>> = signal(new Map())
  readonly #gap = signal<Facts['gap']>()
  readonly #blocks: Signal<ReadonlySet<string>> = signal(new Set())
  /** Caches lines, so a view does not render an unchanged one again. */
  readonly #lines = new WeakMap<Entry, Conversation>()
  readonly conversations: ReadonlySignal<Conversation[]>
  readonly unread: ReadonlySignal<number>

  constructor(storage: Storage) {
    this.#storage = storage
    this.conversations = computed(() =>
      [...this.#entries.value.values()]
        .sort((a, b) => placeOf(b) - placeOf(a))
        .map((entry) => this.#conversation(entry)),
    )
    this.unread = computed(() => this.conversations.value.reduce((sum, { unread }) => sum + unread, 0))
  }

  get gap(): ReadonlySignal<Facts['gap']> {
    return this.#gap
  }

  displayName = (username: string) => this.#entries.value.get(username)?.record.displayName ?? username

  isBlocked = (username: string) => this.#blocks.value.has(username)

  /** Reloads everything, or these conversations and the facts. */
  async refresh(usernames?: Iterable<string>) {
    const read = await this.#storage.read(async (transaction) => {
      const entries = new Map<string, Entry | undefined>()
      const records = usernames
        ? await Promise.all([...usernames].map((name) => transaction.conversation(name)))
        : await transaction.conversations()
      for (const username of usernames ?? []) entries.set(username, undefined)
      for (const record of records) {
        if (!record) continue
        const [last] = await transaction.rows(record.username, { limit: 1 })
        entries.set(record.username, { record, last })
      }
      const gap = await transaction.fact('gap')
      return { entries, gap, blocks: (await transaction.fact('blocks')) ?? [] }
    })
    batch(() => {
      const entries = new Map(usernames ? this.#entries.value : [])
      for (const [username, entry] of read.entries)
        if (entry) entries.set(username, entry)
        else entries.delete(username)
      this.#entries.value = entries
      this.#gap.value = read.gap
      this.#blocks.value = new Set(read.blocks)
    })
  }

  #conversation(entry: Entry): Conversation {
    const { record, last } = entry
    const { username, displayName, unread, draft } = record
    const blocked = this.isBlocked(username)
    const known = this.#lines.get(entry)
    if (known?.blocked === blocked) return known
    const line = { username, displayName, last, unread, blocked, hasDraft: draft !== '' }
    this.#lines.set(entry, line)
    return line
  }
}

const placeOf = ({ record, last }: Entry) => Math.max(last?.place ?? 0, record.place + 0.5)
