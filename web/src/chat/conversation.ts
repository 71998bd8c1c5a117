import { batch, computed, type ReadonlySignal, signal } from '@preact/signals'
import type { Session } from 'restante-client'
import type { BrowserTab } from './browser-tab.ts'
import type { Directory } from './directory.ts'
import { Draft } from './draft.ts'
import { discard, markRead, nameConversation, nameToShow, queue, requeue, unreadRows } from './messages.ts'
import { Presence } from './presence.ts'
import type { StoredText } from './session-store.ts'
import { ignoreClosed, type Storage } from './storage.ts'
import type { StoredRow, Transaction } from './tables.ts'
import type { OpenConversation, Row } from './types.ts'

const NEWEST_ROWS = 200
const OLDER_ROWS = 100

export interface ConversationParts {
  username: string
  storage: Storage
  directory: Directory
  session: () => Session
  browserTab: BrowserTab
  unsavedDraft: StoredText
  /** Called after a change here, so all tabs reload. */
  onChanged: () => void
  /** Called when a row was queued for sending. */
  onQueued: () => void
  onClosed: (conversation: Conversation) => void
}

export class Conversation implements OpenConversation {
  readonly username: string
  readonly displayName: ReadonlySignal<string>
  readonly blocked: ReadonlySignal<boolean>
  readonly draft: Promise<string>
  readonly #parts: ConversationParts
  readonly #rows = signal<readonly StoredRow[]>()
  readonly #hasOlder = signal(false)
  readonly #firstUnread = signal<number>()
  readonly #presence: Presence
  readonly #draft: Draft
  #readPlace = 0
  /** Serialises reads, so older rows never replace newer ones. */
  #reading: Promise<unknown>

  constructor(parts: ConversationParts) {
    const { username, directory, storage, unsavedDraft, onChanged } = parts
    this.#parts = parts
    this.username = username
    this.displayName = computed(() => directory.displayName(username))
    this.blocked = computed(() => directory.isBlocked(username))
    this.#draft = new Draft(storage, username, unsavedDraft, onChanged)
    this.#presence = new Presence({ ...parts, onName: (name) => void this.#rename(name) })
    const loading = this.#load()
    this.draft = loading
    this.#reading = loading.catch(ignoreClosed)
  }

  get rows(): ReadonlySignal<readonly Row[] | undefined> {
    return this.#rows
  }

  get hasOlder(): ReadonlySignal<boolean> {
    return this.#hasOlder
  }

  get firstUnread(): ReadonlySignal<number | undefined> {
    return this.#firstUnread
  }

  get presence() {
    return this.#presence.presence
  }

  get gone(): ReadonlySignal<boolean> {
    return this.#presence.gone
  }

  /** Reloads the rows that may have changed in the storage. */
  refresh(): Promise<void> {
    return this.#inTurn(async (transaction) => {
      const shown = this.#rows.value ?? []
      // Rows in their final state need no reload, unless the conversation is gone.
      const unfinished = shown.findIndex((row) => row.kind === 'sent' && row.state !== 'delivered')
      const isThere = await transaction.conversation(this.username)
      const kept = isThere ? shown.slice(0, unfinished < 0 ? shown.length : unfinished) : []
      const from = isThere ? (shown[kept.length]?.place ?? (kept.at(-1)?.place ?? -1) + 1) : 0
      const read = await transaction.rows(this.username, { from })
      const rows = [...kept, ...read.map((row) => reuseRow(row, shown))]
      return () => {
        if (!isThere) this.#hasOlder.value = false
        this.#rows.value = rows
      }
    })
  }

  loadOlder(): Promise<void> {
    return this.#inTurn(async (transaction) => {
      const shown = this.#rows.value ?? []
      const before = shown[0]?.place
      if (before === undefined) return () => {}
      const older = await transaction.rows(this.username, { before, limit: OLDER_ROWS + 1 })
      return () => {
        this.#hasOlder.value = older.length > OLDER_ROWS
        this.#rows.value = [...older.slice(-OLDER_ROWS), ...shown]
      }
    })
  }

  dropOlder(): Promise<void> {
    return this.#inTurn(async () => () => {
      const shown = this.#rows.value ?? []
      if (shown.length <= NEWEST_ROWS) return
      this.#hasOlder.value = true
      this.#rows.value = shown.slice(-NEWEST_ROWS)
    })
  }

  async send(body: string) {
    this.#draft.sent()
    await this.#change((transaction) => queue(transaction, this.username, body))
    this.#parts.onQueued()
  }

  async retry(place: number) {
    await this.#change((transaction) => requeue(transaction, place))
    this.#parts.onQueued()
  }

  discard(place: number) {
    return this.#change((transaction) => discard(transaction, place))
  }

  saveDraft(text: string, atOnce = false) {
    this.#draft.save(text, atOnce)
  }

  markRead() {
    const place = this.#rows.value?.at(-1)?.place ?? 0
    if (place <= this.#readPlace) return
    this.#readPlace = place
    this.#change((transaction) => markRead(transaction, this.username, place)).catch(ignoreClosed)
  }

  close() {
    this.#presence.stop()
    void this.#draft.flush()
    this.#parts.onClosed(this)
  }

  /** @returns the draft */
  #load(): Promise<string> {
    return this.#parts.storage.read(async (transaction) => {
      const record = await transaction.conversation(this.username)
      const rows = await transaction.rows(this.username, { limit: NEWEST_ROWS + 1 })
      const unread = record ? await unreadRows(transaction, record) : []
      batch(() => {
        this.#hasOlder.value = rows.length > NEWEST_ROWS
        this.#firstUnread.value = unread[0]?.place
        this.#rows.value = rows.slice(-NEWEST_ROWS)
      })
      this.#readPlace = record?.unread === 0 ? record.readPlace : 0
      return this.#draft.restore() ?? record?.draft ?? ''
    })
  }

  /** @param read resolves with a function that shows the result */
  async #inTurn(read: (transaction: Transaction) => Promise<() => void>) {
    const reading = this.#reading.then(async () => batch(await this.#parts.storage.read(read)))
    // The caller handles the error.
    this.#reading = reading.catch(() => {})
    await reading
  }

  async #change(work: (transaction: Transaction) => Promise<void>) {
    await this.#parts.storage.write(work)
    this.#parts.onChanged()
  }

  async #rename(displayName: string) {
    if (nameToShow(displayName, this.username) === this.displayName.value) return
    await this.#change((transaction) => nameConversation(transaction, this.username, displayName)).catch(
      ignoreClosed,
    )
  }
}

/** Returns the row object that is already shown if it is equal, so it is not rendered again. */
function reuseRow(row: StoredRow, shown: readonly StoredRow[]): StoredRow {
  const known = shown.find(({ place }) => place === row.place)
  if (known?.kind === 'sent' && row.kind === 'sent')
    return known.state === row.state && known.atMs === row.atMs ? known : row
  return known ?? row
}
