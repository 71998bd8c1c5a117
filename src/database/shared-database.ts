import type { Clock } from '../clock.ts'
import type { Database } from './database.ts'

/** How long a node counts as alive after its last beat: three beats may be lost. */
export const ALIVE_MS = 8_000

/** A database that several nodes share: the verbs of a store, and those between nodes. */
export interface SharedDatabase extends Database {
  /** The database's time: the same for all nodes, whatever their own clocks show. */
  clock: Clock
  /** Records that this node is alive, and sends a probe that comes back to it. */
  beat(): Promise<void>
  /** Removes this node, so that no other waits for it. No beat may follow. */
  leave(): Promise<void>
  /** Records that these sessions poll this node; ended ones are ignored. */
  addPresence(sessionIds: string[]): Promise<void>
  /** Records that they no longer do. */
  removePresence(sessionIds: string[]): Promise<void>
  /** Whether the account polls another node, or did a moment ago. Polls on this node are not counted. */
  isOnline(username: string): Promise<boolean>
  /** How many accounts are online on all nodes, including this one. */
  countOnline(): Promise<number>
  /** The current state of these sessions and their inboxes, in the same order. */
  checkParked(sessions: SessionOfAccount[]): Promise<ParkedStatus[]>
  /** Begins to handle the notifications of other nodes. Ends with the database. */
  listen(handlers: NotificationHandlers): Subscription
}

/** The connection on which notifications arrive. */
export interface Subscription {
  /**
   * Resolves when the notifications of all earlier commits were handled. Rejects when the connection is dead.
   */
  pulse: () => Promise<void>
  /** Replaces the connection by a new one. */
  reconnect: () => void
}

/** A session, by its id, and the name of its account. */
export interface SessionOfAccount {
  id: string
  username: string
}

export interface ParkedStatus {
  /** Whether the session has not ended. */
  alive: boolean
  /** The newest `seq` of its account's inbox. */
  newestSeq: number
}

/** The handlers of a node for notifications. */
export interface NotificationHandlers {
  /** Another node has appended to the inbox of that account. */
  onAppendedElsewhere: (username: string, newestSeq: number) => void
  /** A session has ended, on any node; `disabled` when its account was disabled. */
  onEnded: (session: SessionOfAccount, disabled?: boolean) => void
  /** A probe of this node came back. */
  onProbe: () => void
  /** Notifications arrive again; those sent meanwhile are lost. */
  onConnected: () => void
  /** Notifications no longer arrive. */
  onDisconnected: () => void
}
