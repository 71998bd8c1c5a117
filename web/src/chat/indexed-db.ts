import { type DBSchema, deleteDB, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb'
import type {
  ConversationRecord,
  Facts,
  NewRow,
  StoredRow,
  StoredSentRow,
  Tables,
  Transaction,
} from './tables.ts'

interface Schema extends DBSchema {
  rows: {
    key: number
    value: NewRow & { place?: number }
    indexes: { mark: string; with: [string, number]; queued: string }
  }
  conversations: { key: string; value: ConversationRecord }
  receipts: { key: [string, string]; value: { username: string; id: string } }
  facts: { key: string; value: unknown }
}

type Mode = 'readonly' | 'readwrite'
const STORES = ['rows', 'conversations', 'receipts', 'facts'] as const
const VERSION = 1

/** In case the browser hangs while it opens the database. */
const OPEN_TIMEOUT_MS = 10_000

export class IndexedDbTables implements Tables {
  readonly #db: IDBPDatabase<Schema>

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db
  }

  /**
   * @param onUnusable called when another tab deletes the database, or upgrades it to a version unknown here
   * @throws when IndexedDB does not work, or another tab holds an older version open
   */
  static async open(name: string, onUnusable: (deleted: boolean) => void): Promise<IndexedDbTables> {
    let fail = (_: Error) => {}
    const failed = new Promise<never>((_, reject) => {
      fail = reject
    })
    const timer = setTimeout(() => fail(new Error('The database does not open.')), OPEN_TIMEOUT_MS)
    const opening = openDB<Schema>(name, VERSION, {
      upgrade(db) {
        const rows = db.createObjectStore('rows', { keyPath: 'place', autoIncrement: true })
        rows.createIndex('mark', 'mark', { unique: true })
        rows.createIndex('with', ['with', 'place'])
        rows.createIndex('queued', 'queued')
        db.createObjectStore('conversations', { keyPath: 'username' })
        db.createObjectStore('receipts', { keyPath: ['username', 'id'] })
        db.createObjectStore('facts')
      },
      blocked: () => fail(new Error('Another tab holds an older version of the database.')),
      blocking(_current, blocked, event) {
        ;(event.target as IDBDatabase).close()
        onUnusable(blocked === null)
      },
    })
    try {
      return new IndexedDbTables(await Promise.race([opening, failed]))
    } catch (error) {
      // If it opens after all, it would block upgrades by other tabs.
      opening.then((db) => db.close()).catch(() => {})
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async run<T>(mode: Mode, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    // Strict, because messages are acknowledged next: they must survive a power cut.
    const transaction = this.#db.transaction(STORES, mode, { durability: 'strict' })
    const done = transaction.done
    done.catch(() => {})
    try {
      const result = await work(verbs(transaction))
      await done
      return result
    } catch (error) {
      abort(transaction)
      throw error
    }
  }

  close() {
    this.#db.close()
  }
}

/** Without this, half of the work would be committed. */
function abort(transaction: { abort(): void }) {
  try {
    transaction.abort()
  } catch {
    // It has already ended.
  }
}

/** Resolves when it is deleted, or will be once a frozen tab closes it. */
export const deleteDatabase = (name: string) =>
  new Promise<void>((resolve, reject) => {
    deleteDB(name, { blocked: () => resolve() }).then(resolve, reject)
  })

const allOf = (username: string) => IDBKeyRange.bound([username], [username, []])

function verbs(transaction: IDBPTransaction<Schema, typeof STORES, Mode>): Transaction {
  const writable = transaction as IDBPTransaction<Schema, typeof STORES, 'readwrite'>
  const rows = () => writable.objectStore('rows')
  const conversations = () => writable.objectStore('conversations')
  const receipts = () => writable.objectStore('receipts')
  const facts = () => writable.objectStore('facts')
  return {
    row: async (place) => (await rows().get(place)) as StoredRow | undefined,
    rowByMark: async (mark) => (await rows().index('mark').get(mark)) as StoredRow | undefined,
    rows: async (username, { from = 0, before = Infinity, limit }) => {
      const index = rows().index('with')
      const range = (first: number) => IDBKeyRange.bound([username, first], [username, before], false, true)
      let first = from
      if (limit !== undefined) {
        const newest = await index.openKeyCursor(range(from), 'prev')
        const oldest = limit > 1 ? await newest?.advance(limit - 1) : newest
        first = oldest?.primaryKey ?? from
      }
      return (await index.getAll(range(first))) as StoredRow[]
    },
    queued: async (username) => (await rows().index('queued').getAll(username)) as StoredSentRow[],
    newestPlace: async () => (await rows().openKeyCursor(null, 'prev'))?.primaryKey ?? 0,
    addRow: async (row) => void (await rows().add(row)),
    putRow: async (row) => void (await rows().put(row)),
    deleteRow: (place) => rows().delete(place),
    conversation: (username) => conversations().get(username),
    conversations: () => conversations().getAll(),
    putConversation: async (record) => void (await conversations().put(record)),
    deleteConversation: async (username) => {
      await conversations().delete(username)
      for (const place of await rows().index('with').getAllKeys(allOf(username))) await rows().delete(place)
    },
    addReceipt: async (username, id) => void (await receipts().put({ username, id })),
    hasReceipt: async (username, id) => (await receipts().count([username, id])) > 0,
    deleteReceipts: (username) => receipts().delete(allOf(username)),
    fact: async <F extends keyof Facts>(name: F) => (await facts().get(name)) as Facts[F] | undefined,
    putFact: async (name, value) => void (await facts().put(value, name)),
  }
}
