import { type ReadonlySignal, type Signal, signal } from '@preact/signals'
import type { Session } from 'restante-client'
import { Connector, type ConnectorParts } from './connector.ts'
import { Conversation } from './conversation.ts'
import { Directory } from './directory.ts'
import { ensureConversation, nameConversation } from './messages.ts'
import { BrowserNotifications } from './notifications.ts'
import { ignoreClosed } from './storage.ts'
import type { Chat, OpenConversation } from './types.ts'

type Parts = Omit<ConnectorParts, 'onChanged' | 'onLive'> & {
  /** Logs out all tabs, deletes the stored account, and then calls `endSession`. */
  onLogout: (endSession: () => Promise<void>) => Promise<void>
  /** Calls `deleteOnServer`, which deletes the account, and then does the same. */
  onDelete: (deleteOnServer: () => Promise<void>) => Promise<void>
}

/** The chat of one account in one tab. */
export class LoggedIn implements Chat {
  readonly username: string
  readonly notifications: BrowserNotifications
  readonly #parts: Parts
  readonly #directory: Directory
  readonly #displayName: Signal<string>
  readonly #open = new Set<Conversation>()
  /** The conversations to reload: all, or these. */
  #changed: Set<string> | 'all' | undefined
  #refreshing: Promise<void> | undefined
  #connector: Connector

  /** Resolves when the list is loaded, or with undefined if the session has ended meanwhile. */
  static async open(parts: Parts): Promise<LoggedIn | undefined> {
    const directory = new Directory(parts.storage)
    await directory.refresh()
    const chat: { value?: LoggedIn } = {}
    const connector = await Connector.open({
      ...parts,
      onChanged: (conversations) => chat.value?.refresh(conversations),
      onLive: () => void chat.value?.notifications.renew(),
    })
    if (!connector) return undefined
    chat.value = new LoggedIn(parts, directory, connector)
    // Load what has changed since the first refresh.
    chat.value.refresh()
    return chat.value
  }

  private constructor(parts: Parts, directory: Directory, connector: Connector) {
    this.#parts = parts
    this.#directory = directory
    this.#connector = connector
    this.username = connector.session.username
    this.#displayName = signal(connector.session.displayName)
    this.notifications = new BrowserNotifications({
      session: () => this.session,
      browserTab: parts.browserTab,
      choice: parts.sessions.notificationChoice(this.username),
    })
    // If it fails, the blocks are loaded with the next change.
    this.#readBlocks().catch(() => {})
  }

  get displayName(): ReadonlySignal<string> {
    return this.#displayName
  }

  get connection() {
    return this.#connector.connection
  }

  get conversations() {
    return this.#directory.conversations
  }

  get unread() {
    return this.#directory.unread
  }

  get gap() {
    return this.#directory.gap
  }

  get storageWarning() {
    return this.#parts.storage.warning
  }

  get session(): Session {
    return this.#connector.session
  }

  get received(): number {
    return this.#parts.sessions.current?.state.cursor ?? 0
  }

  dismissGap() {
    const { storage } = this.#parts
    storage
      .write((transaction) => transaction.putFact('gap', undefined))
      .then(() => this.#connector.changed([]))
      .catch(ignoreClosed)
  }

  tryNow() {
    this.#connector.tryNow()
  }

  async start(name: string) {
    const { username, displayName } = await this.session.getUser(name)
    await this.#parts.storage.write(async (transaction) => {
      await ensureConversation(transaction, username)
      await nameConversation(transaction, username, displayName)
    })
    this.#connector.changed([username])
    await this.#refreshing
  }

  open(username: string): OpenConversation {
    const conversation = new Conversation({
      username,
      storage: this.#parts.storage,
      directory: this.#directory,
      session: () => this.session,
      browserTab: this.#parts.browserTab,
      unsavedDraft: this.#parts.sessions.unsavedDraft(this.username, username),
      onChanged: () => this.#connector.changed([username]),
      onQueued: () => this.#connector.queued(),
      onClosed: () => this.#open.delete(conversation),
    })
    this.#open.add(conversation)
    return conversation
  }

  async remove(username: string) {
    await this.#parts.storage.write((transaction) => transaction.deleteConversation(username))
    this.#connector.changed([username])
  }

  async block(username: string) {
    await this.session.block(username)
    await this.#readBlocks()
  }

  async unblock(username: string) {
    await this.session.unblock(username)
    await this.#readBlocks()
  }

  async updateDisplayName(displayName: string) {
    this.#displayName.value = (await this.session.updateMe({ displayName })).displayName
  }

  logout() {
    // Keep the session: the chat is closed before the callback runs.
    const { session } = this
    return this.#parts.onLogout(() => session.logout())
  }

  deleteAccount(password: string) {
    return this.#parts.onDelete(() => this.session.deleteAccount(password))
  }

  /**
   * Reloads these conversations, or everything. Changes during a reload share the next one.
   */
  refresh(conversations?: Iterable<string>) {
    if (!conversations || this.#changed === 'all') this.#changed = 'all'
    else this.#changed = new Set([...(this.#changed ?? []), ...conversations])
    this.#refreshing ??= this.#refreshAll()
      .catch(ignoreClosed)
      .finally(() => {
        this.#refreshing = undefined
      })
  }

  /** Called when another tab has changed the session. */
  sessionChanged() {
    this.#displayName.value = this.#parts.sessions.current?.state.displayName ?? this.#displayName.value
    this.notifications.refresh()
    void this.#connector.refreshSession()
  }

  /** Resolves when everything has stopped. */
  async close() {
    for (const conversation of [...this.#open]) conversation.close()
    this.notifications.close()
    await this.#connector.close()
    await this.#parts.storage.close()
  }

  async #refreshAll() {
    while (this.#changed) {
      const changed = this.#changed
      this.#changed = undefined
      await this.#directory.refresh(changed === 'all' ? undefined : changed)
      const open = [...this.#open].filter(({ username }) => changed === 'all' || changed.has(username))
      await Promise.all(open.map((conversation) => conversation.refresh()))
    }
  }

  async #readBlocks() {
    const blocks = (await this.session.listBlocks()).map(({ username }) => username)
    await this.#parts.storage.write((transaction) => transaction.putFact('blocks', blocks))
    this.#connector.changed([])
  }
}
