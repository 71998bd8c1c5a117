/**
 * The interfaces between the chat and the views. Everything that changes is a signal, so a view that reads
 * one is rendered again. Nothing here knows DOM elements, and no view knows HTTP.
 *
 * Methods that call the server throw RestanteProblem; views decide by its `code`.
 */
import type { ReadonlySignal } from '@preact/signals'
import type { RestanteProblem, Session } from 'restante-client'

/** The app: login, registration, and the chat of the account that is logged in. */
export interface App {
  /** `starting` until the stored session is loaded. */
  readonly state: ReadonlySignal<'starting' | 'logged-out' | 'logged-in'>
  /** The chat of the account, while the state is `logged-in`. */
  readonly chat: ReadonlySignal<Chat | undefined>
  /** Why the last session ended, unless the user logged out. Shown at the login. */
  readonly endedSession: ReadonlySignal<{ username: string; reason: RestanteProblem } | undefined>
  /** Usernames of accounts that are logged out, but whose messages are still stored in this browser. */
  readonly storedAccounts: ReadonlySignal<string[]>
  /** Creates the account, then logs in. */
  register(account: {
    username: string
    password: string
    displayName?: string
    invite?: string
  }): Promise<void>
  /** Throws `already_online` when the account is in use elsewhere: ask the user, then pass `takeover`. */
  login(credentials: { username: string; password: string; takeover?: boolean }): Promise<void>
  /** Deletes the stored messages of an account that is logged out. */
  forget(username: string): Promise<void>
}

/** The connection of this browser; in other tabs, that of the polling tab. */
export type Connection =
  | { state: 'connecting' | 'live' }
  /** The last request failed. The next one is at this time of `Date.now()`, or on `tryNow`. */
  | { state: 'waiting'; retryAtMs: number; problem: RestanteProblem }

/** The chat of the account that is logged in. */
export interface Chat {
  readonly username: string
  readonly displayName: ReadonlySignal<string>
  readonly connection: ReadonlySignal<Connection>
  /** Newest first. */
  readonly conversations: ReadonlySignal<Conversation[]>
  /** Unread messages in all conversations, for the title of the page. */
  readonly unread: ReadonlySignal<number>
  /** Messages that are missing for good, since the user last dismissed the notice. */
  readonly gap: ReadonlySignal<{ from: number; to: number; reason: string } | undefined>
  /** A sentence if this browser cannot store messages (private mode, no space, a dead IndexedDB). */
  readonly storageWarning: ReadonlySignal<string | undefined>
  readonly notifications: Notifications
  /** The `seq` up to which this browser has received the inbox. */
  readonly received: number
  /** For data at the server only: sessions, application tokens, password, presence. */
  readonly session: Session

  dismissGap(): void
  /** Reconnects now. */
  tryNow(): void
  /** Looks up the user, then adds the conversation to the list. Throws `user_not_found`. */
  start(username: string): Promise<void>
  /** Opens the conversation with this user. Its rows stay up to date until it is closed. */
  open(username: string): OpenConversation
  /** Deletes the conversation and its messages from this browser. */
  remove(username: string): Promise<void>
  block(username: string): Promise<void>
  unblock(username: string): Promise<void>
  updateDisplayName(displayName: string): Promise<void>
  /** Ends the session in all tabs, and deletes all data of the account in this browser. */
  logout(): Promise<void>
  /** Like `logout`, and deletes the account. Throws `wrong_password`. */
  deleteAccount(password: string): Promise<void>
}

/** Push notifications of new messages while the page is closed. */
export interface Notifications {
  /**
   * `unknown` until the server has answered. `disabled`: push is off at the server. `unsupported`: not
   * possible in this browser or at this address. `blocked`: forbidden in the browser's settings. `undecided`:
   * the user has not answered the offer yet.
   */
  readonly state: ReadonlySignal<
    'unknown' | 'disabled' | 'unsupported' | 'blocked' | 'undecided' | 'off' | 'on'
  >
  /** Why renewing the registration at the server failed. */
  readonly failure: ReadonlySignal<RestanteProblem | undefined>
  /** Asks the server whether push is on. */
  check(): Promise<void>
  /** Call it from a click: the browser asks the user. Throws `push_dismissed`, `push_unavailable`. */
  turnOn(): Promise<void>
  turnOff(): Promise<void>
  /** The user declines the offer. */
  decline(): void
  /** Called when the browser has changed or lost its subscription. */
  subscriptionChanged(): Promise<void>
}

/** A line of the list of conversations. */
export interface Conversation {
  readonly username: string
  /** The username, until the server has returned the display name. */
  readonly displayName: string
  /** The newest row, if there is one. */
  readonly last: Row | undefined
  readonly unread: number
  readonly blocked: boolean
  readonly hasDraft: boolean
}

/** A message in a conversation. Rows never move: each new one has the highest `place`. */
export type Row = ReceivedRow | SentRow

interface RowParts {
  /** The order of the rows, and their key in a list. */
  readonly place: number
  readonly body: string
  /** The server's time of the message, or when it was written if it is not sent yet; ms since 1970. */
  readonly atMs: number
}

export interface ReceivedRow extends RowParts {
  readonly kind: 'received'
  readonly id: string
}

export interface SentRow extends RowParts {
  readonly kind: 'sent'
  /**
   * `waiting`: not answered yet, repeated automatically. `failed`: refused, see `failure`; use `retry` or
   * `discard`. `sent`: accepted by the server. `delivered`: received by the other user.
   */
  readonly state: 'waiting' | 'failed' | 'sent' | 'delivered'
  /** Why it failed: the code and detail of the problem. */
  readonly failure?: { readonly code: string; readonly detail: string }
}

/** An open conversation. */
export interface OpenConversation {
  readonly username: string
  readonly displayName: ReadonlySignal<string>
  readonly blocked: ReadonlySignal<boolean>
  /** Undefined while unknown or hidden. Refreshed while the conversation is open. */
  readonly presence: ReadonlySignal<{ online: boolean; lastSeenAtMs?: number } | undefined>
  /** The account has been deleted. */
  readonly gone: ReadonlySignal<boolean>
  /** In order: the newest 200, and older ones that were loaded. Undefined while loading. */
  readonly rows: ReadonlySignal<readonly Row[] | undefined>
  readonly hasOlder: ReadonlySignal<boolean>
  /** The place of the first message that was unread when the conversation was opened: the "New" line. */
  readonly firstUnread: ReadonlySignal<number | undefined>
  /** The saved draft, also from another tab. Read it when the view opens. */
  readonly draft: Promise<string>

  /** Adds the next 100 older rows. */
  loadOlder(): Promise<void>
  /** Drops all rows but the newest 200, to limit the memory. */
  dropOlder(): Promise<void>
  /** Stores the message before it is sent, so a reload does not lose it. Resolves when it is stored. */
  send(body: string): Promise<void>
  retry(place: number): Promise<void>
  discard(place: number): Promise<void>
  /** Saves the draft: at once if asked (when the page is hidden), otherwise a moment later. */
  saveDraft(text: string, atOnce?: boolean): void
  /** Call it when the page is visible and the newest row is in view. */
  markRead(): void
  close(): void
}
