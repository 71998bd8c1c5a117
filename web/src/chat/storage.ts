import { type ReadonlySignal, signal } from '@preact/signals'
import { IndexedDbTables } from './indexed-db.ts'
import { MemoryTables } from './memory-tables.ts'
import type { Tables, Transaction } from './tables.ts'

const IN_MEMORY =
  'This browser cannot keep messages (a private window, or no space left). They are shown in this tab only, and are gone when you close it.'
const NEWER_PAGE =
  'A newer version of this page is open in another tab. Reload this one: until then it does not keep messages.'

/** The storage of the account is closed or deleted. */
class StorageClosed extends Error {}

/** For work that may still run when the account logs out. */
export function ignoreClosed(error: unknown) {
  if (!(error instanceof StorageClosed)) throw error
}

/**
 * The storage of one account. If IndexedDB fails, it is reopened once, because WebKit closes it while a page
 * is in the background. After that the tab continues in memory with what it could still read, and warns the
 * user. Messages are then acknowledged when shown, as by any client without a store, rather than never shown.
 */
export class Storage {
  readonly #name: string
  readonly #warning = signal<string>()
  #tables: Promise<Tables>
  #reopened = false
  #closed = false

  constructor(name: string) {
    this.#name = name
    this.#tables = this.#open().catch(() => this.#useMemory())
  }

  /** A sentence for the user while messages are not stored. */
  get warning(): ReadonlySignal<string | undefined> {
    return this.#warning
  }

  /** Whether other tabs cannot see what is stored here. */
  get inMemory(): boolean {
    return this.#warning.value !== undefined
  }

  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#run('readonly', work)
  }

  /** Resolves when it is written. */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#run('readwrite', work)
  }

  async close() {
    this.#closed = true
    const tables = await this.#tables
    tables.close()
  }

  /** @param work repeated from the beginning if the storage fails meanwhile */
  async #run<T>(mode: 'readonly' | 'readwrite', work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (;;) {
      const used = this.#tables
      const tables = await used
      if (this.#closed) throw new StorageClosed()
      try {
        return await tables.run(mode, work)
      } catch (error) {
        if (!(error instanceof DOMException) || tables instanceof MemoryTables) throw error
        // The first of several concurrent failures recovers for all.
        if (this.#tables === used) this.#tables = this.#recover(tables)
      }
    }
  }

  async #recover(broken: Tables): Promise<Tables> {
    if (this.#reopened) return this.#useMemory(broken)
    this.#reopened = true
    try {
      const tables = await this.#open()
      broken.close()
      return tables
    } catch {
      return this.#useMemory(broken)
    }
  }

  #open(): Promise<Tables> {
    return IndexedDbTables.open(this.#name, (deleted) => {
      if (deleted) this.#closed = true
      else this.#tables = this.#useMemory(undefined, NEWER_PAGE)
    })
  }

  async #useMemory(broken?: Tables, warning = IN_MEMORY): Promise<Tables> {
    const tables = new MemoryTables()
    // A full disk can still be read.
    await broken?.run('readonly', (transaction) => tables.copy(transaction)).catch(() => {})
    broken?.close()
    this.#warning.value = warning
    return tables
  }
}
