import { type ReadonlySignal, signal } from '@preact/signals'
import { IndexedDbTables } from './indexed-db.ts'
import { MemoryTables } from './memory-tables.ts'
import type { Tables, Transaction } from './tables.ts'

const IN_MEMORY =
  'This browser cannot keep messages (a private window, or no space left). They are shown in this tab only, and are gone when you close it.'
const NEWER_PAGE =
  'A newer version of this page is open in another tab. Reload this one: until then it does not keep messages.'

/** The storage of an account was closed, or is deleted. */
export class StorageClosed extends Error {}

/** For what may be under way when the account is logged out. */
export function ignoreClosed(error: unknown) {
  if (!(error instanceof StorageClosed)) throw error
}

/**
 * What is kept of one account. IndexedDB that fails is opened again once, because WebKit ends it while a page
 * is in the background. After that the tab goes on in memory with what it could still read, and says so.
 * Messages are then acknowledged when they are shown, as by any client without a store: to wait for a disk
 * that does not come would keep them from the user.
 */
export class Storage {
  readonly #name: string
  readonly #trouble = signal<string>()
  #tables: Promise<Tables>
  #reopened = false
  #closed = false

  constructor(name: string) {
    this.#name = name
    this.#tables = this.#open().catch(() => this.#goOnInMemory())
  }

  /** A sentence for the user, while messages are not kept. */
  get trouble(): ReadonlySignal<string | undefined> {
    return this.#trouble
  }

  /** Other tabs do not see what is kept here. */
  get inMemory(): boolean {
    return this.#trouble.value !== undefined
  }

  read<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#run('readonly', work)
  }

  /** Resolves once it is written. */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#run('readwrite', work)
  }

  async close() {
    this.#closed = true
    const tables = await this.#tables
    tables.close()
  }

  /** @param work done again from its beginning when the storage fails meanwhile */
  async #run<T>(mode: 'readonly' | 'readwrite', work: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (;;) {
      const used = this.#tables
      const tables = await used
      if (this.#closed) throw new StorageClosed()
      try {
        return await tables.run(mode, work)
      } catch (error) {
        if (!(error instanceof DOMException) || tables instanceof MemoryTables) throw error
        // The first of those that fail at once mends it for all.
        if (this.#tables === used) this.#tables = this.#mend(tables)
      }
    }
  }

  async #mend(broken: Tables): Promise<Tables> {
    if (this.#reopened) return this.#goOnInMemory(broken)
    this.#reopened = true
    try {
      const tables = await this.#open()
      broken.close()
      return tables
    } catch {
      return this.#goOnInMemory(broken)
    }
  }

  #open(): Promise<Tables> {
    return IndexedDbTables.open(this.#name, (deleted) => {
      if (deleted) this.#closed = true
      else this.#tables = this.#goOnInMemory(undefined, NEWER_PAGE)
    })
  }

  async #goOnInMemory(broken?: Tables, trouble = IN_MEMORY): Promise<Tables> {
    const tables = new MemoryTables()
    // A full disk can still be read.
    await broken?.run('readonly', (transaction) => tables.copy(transaction)).catch(() => {})
    broken?.close()
    this.#trouble.value = trouble
    return tables
  }
}
