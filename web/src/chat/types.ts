/**
 * What the views see of the chat. Everything that changes is a signal, so a view that reads one is drawn
 * again when it changes. Nothing here knows the DOM's elements, and no view knows HTTP.
 *
 * Methods that ask the server throw RestanteProblem; a view decides by its `code`.
 */
import type { ReadonlySignal } from '@preact/signals'
import type { RestanteProblem, Session } from 'restante-client'

/** The page before and after the login. */
export interface App {
  /** `starting` until the browser's store has told whether there is a session. */
  readonly state: ReadonlySignal<'starting' | 'logged-out' | 'logged-in'>
  /** The account that is logged in: there while the state is `logged-in`. */
  readonly chat: ReadonlySignal<Chat | undefined>
  /** Why the last session is over, when nobody asked for it. The login shows it, with the name filled in. */
  readonly farewell: ReadonlySignal<{ username: string; reason: RestanteProblem } | undefined>
  /** Names of accounts whose messages are still kept in this browser, though they are not logged in. */
  readonly kept: ReadonlySignal<string[]>
  /** Creates the account, then logs in. */
  register(account: {
    username: string
    password: string
    displayName?: string
    invite?: string
  }): Promise<void>
  /** Throws `already_online` when the account is in use elsewhere: ask, then call with `takeover`. */
  login(credentials: { username: string; password: string; takeover?: boolean }): Promise<void>
  /** Deletes the messages that are kept of an account that is not logged in. */
  forget(username: string): Promise<void>
}

/** How this browser is connected. In tabs that do not poll, it is the state of the tab that does. */
export type Connection =
  | { state: 'connecting' | 'live' }
  /** The last request failed; the next one is made at this time of `Date.now()`, or by `tryNow`. */
  | { state: 'waiting'; retryAtMs: number; problem: RestanteProblem }

/** Somebody who is logged in. */
export interface Chat {
  readonly username: string
  readonly displayName: ReadonlySignal<string>
  readonly connection: ReadonlySignal<Connection>
  /** The newest first. */
  readonly conversations: ReadonlySignal<Conversation[]>
  /** Unread messages in all conversations, for the title of the page. */
  readonly unread: ReadonlySignal<number>
  /** Messages that are missing for ever, since the user has last dismissed it. */
  readonly gap: ReadonlySignal<{ from: number; to: number; reason: string } | undefined>
  /** A sentence when this browser cannot keep messages (private mode, no space, a dead IndexedDB). */
  readonly storageTrouble: ReadonlySignal<string | undefined>
  readonly notifications: Notifications
  /** The `seq` up to which the inbox has been received in this browser. */
  readonly received: number
  /** For what is kept at the server only: sessions, application tokens, password, presence. */
  readonly session: Session

  dismissGap(): void
  /** Ends the wait for the connection. */
  tryNow(): void
  /** Asks the server whether there is such a user, then shows the conversation. Throws `user_not_found`. */
  start(username: string): Promise<void>
  /** The conversation with this user, with its rows loaded and followed until it is closed. */
  open(username: string): OpenConversation
  /** Takes the conversation out of this browser, with all its messages. */
  remove(username: string): Promise<void>
  block(username: string): Promise<void>
  unblock(username: string): Promise<void>
  updateDisplayName(displayName: string): Promise<void>
  /** Ends the session, and deletes everything of the account in this browser, in all tabs. */
  logout(): Promise<void>
  /** As `logout`; the account is gone, too. Throws `wrong_password`. */
  deleteAccount(password: string): Promise<void>
}

/** What this browser shows of new messages while the page is closed. */
export interface Notifications {
  /**
   * `unknown` until the server has been asked. `disabled`: it does not push. `unsupported`: this browser or
   * this address cannot. `blocked`: the user has forbidden it in the browser. `undecided`: the user has not
   * answered the offer yet.
   */
  readonly state: ReadonlySignal<
    'unknown' | 'disabled' | 'unsupported' | 'blocked' | 'undecided' | 'off' | 'on'
  >
  /** Why the registration at the server failed, when it was renewed. */
  readonly failure: ReadonlySignal<RestanteProblem | undefined>
  /** Asks the server, in a tab that has not done so. */
  check(): Promise<void>
  /** Call it within a click: the browser asks the user. Throws `push_dismissed`, `push_unavailable`. */
  turnOn(): Promise<void>
  turnOff(): Promise<void>
  /** The user does not want the offer. */
  decline(): void
  /** The browser has another subscription now, or none. */
  subscriptionChanged(): Promise<void>
}

/** One line of the list. */
export interface Conversation {
  readonly username: string
  /** As the server last told it; the username until then. */
  readonly displayName: string
  /** The newest row that is a message, if there is one. */
  readonly last: Row | undefined
  readonly unread: number
  readonly blocked: boolean
  readonly hasDraft: boolean
}

/** A message as it is shown. Rows never move: `place` only grows in one browser. */
export type Row = ReceivedRow | SentRow

interface RowParts {
  /** The order of the rows, and their name in a list. */
  readonly place: number
  readonly body: string
  /** When the server has it from, or, before it has it, when it was written: ms of the epoch. */
  readonly atMs: number
}

export interface ReceivedRow extends RowParts {
  readonly kind: 'received'
  readonly id: string
}

export interface SentRow extends RowParts {
  readonly kind: 'sent'
  /**
   * `waiting`: not yet answered, repeated by itself. `failed`: refused, see `failure`; `retry` or `discard`.
   * `sent`: accepted by the server. `delivered`: received by the other.
   */
  readonly state: 'waiting' | 'failed' | 'sent' | 'delivered'
  /** Why it failed: the problem's code and its sentence for people. */
  readonly failure?: { readonly code: string; readonly detail: string }
}

/** A conversation on the screen. */
export interface OpenConversation {
  readonly username: string
  readonly displayName: ReadonlySignal<string>
  readonly blocked: ReadonlySignal<boolean>
  /** Undefined while it is not known, or hidden; asked again from time to time while it is open. */
  readonly presence: ReadonlySignal<{ online: boolean; lastSeenAtMs?: number } | undefined>
  /** The account has been deleted. */
  readonly gone: ReadonlySignal<boolean>
  /** In order: the newest 200, and the older ones that were loaded. Undefined while they are loaded. */
  readonly rows: ReadonlySignal<readonly Row[] | undefined>
  readonly hasOlder: ReadonlySignal<boolean>
  /** The place of the first message that was unread when the conversation was opened: the "New" line. */
  readonly firstUnread: ReadonlySignal<number | undefined>
  /** The text that was being written, once it is loaded; also another tab's. Read it when the view opens. */
  readonly draft: Promise<string>

  /** Puts the next 100 older rows in front. */
  loadOlder(): Promise<void>
  /** Takes all rows but the newest 200 off the screen: those that come would fill the memory. */
  dropOlder(): Promise<void>
  /** The text is kept before it is sent, so a reload does not lose it. Resolves once it is kept. */
  send(body: string): Promise<void>
  retry(place: number): Promise<void>
  discard(place: number): Promise<void>
  /** Keeps what is being written: at once when asked (the page is being hidden), else a moment later. */
  saveDraft(text: string, atOnce?: boolean): void
  /** What is shown has been seen: the page is visible and the newest row is in sight. */
  markRead(): void
  close(): void
}
