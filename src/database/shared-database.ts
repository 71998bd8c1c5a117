import type { Clock } from '../clock.ts'
import type { Database } from './database.ts'

/** How long a node counts as alive after its last beat: three beats may be lost. */
export const ALIVE_MS = 8_000

/** What nodes ask of a database that they share, beyond the verbs of a store. */
export interface SharedDatabase extends Database {
  /** The database's time, which all nodes have in common whatever their own clocks say. */
  clock: Clock
  /** Says that this node is alive, and sends it a probe that it should hear by itself. */
  beat(): Promise<void>
  /** Says that this node ends: from now on nobody waits for it. No beat may follow. */
  leave(): Promise<void>
  /** Says that these sessions poll this node; those that are over are passed by. */
  appear(sessionIds: string[]): Promise<void>
  /** Says that they no longer do. */
  disappear(sessionIds: string[]): Promise<void>
  /** Whether somebody of that name polls another node, or did a moment ago; who polls here is known here. */
  isOnline(username: string): Promise<boolean>
  /** How many accounts are online at all nodes, this one too. */
  countOnline(): Promise<number>
  /** What has become of these in the meantime, in order. */
  lookAt(sessions: Parked[]): Promise<Looked[]>
  /** Begins to hear what the other nodes say. Ends with the database. */
  listen(hearing: Hearing): Listening
}

/** The connection over which a node hears the others. */
export interface Listening {
  /** Resolves when all that was committed before was heard. Rejects when the connection is no good. */
  pulse: () => Promise<void>
  /** Gives it up, for a new one. */
  reconnect: () => void
}

/** A session whose poll waits. */
export interface Parked {
  id: string
  username: string
}

export interface Looked {
  /** Whether the session still is. */
  alive: boolean
  /** The newest `seq` of its account's inbox. */
  newestSeq: number
}

/** What a node hears from the others. */
export interface Hearing {
  /** Another node has added to the inbox of that name. */
  onAdded: (username: string, newestSeq: number) => void
  /** A session was ended, at any node; `disabled` when its account was. */
  onEnded: (session: Parked, disabled?: boolean) => void
  /** A probe of this node came back. */
  onProbe: () => void
  /** It hears again: what was said in the meantime is lost. */
  onConnected: () => void
  /** It does not hear any more. */
  onDisconnected: () => void
}
