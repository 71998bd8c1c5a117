import { RestanteProblem } from 'restante-client'
import type { Connection } from './types.ts'

/** A Connection in a form that can be posted to other tabs: class instances cannot. */
export type ConnectionNote =
  | { state: 'connecting' | 'live' }
  | { state: 'waiting'; retryAtMs: number; problem: { code: string; status: number; detail: string } }

export interface LeadNote {
  type: 'lead'
  tab: string
  visible: boolean
  sinceMs: number
  connection: ConnectionNote
}

/**
 * What the tabs of an account post to each other. Chat messages are never posted, but read from the storage.
 */
export type Note =
  /** This tab polls and sends for all. Posted as heartbeat, and in reply to `who-leads`. */
  | LeadNote
  | { type: 'who-leads' }
  /** The leading tab is closing. */
  | { type: 'lead-is-free' }
  /** Reload these conversations and the facts about the account. */
  | { type: 'changed'; conversations: string[] }
  /** A message was queued for sending. */
  | { type: 'queued' }
  /** The user wants to reconnect now. */
  | { type: 'try-now' }

/** Connects all tabs of one login. */
export class Channel {
  readonly #name: string
  readonly #onNote: (note: Note) => void
  #channel: BroadcastChannel | undefined

  constructor(name: string, onNote: (note: Note) => void) {
    this.#name = name
    this.#onNote = onNote
  }

  open() {
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.onmessage = ({ data }) => this.#onNote(data)
  }

  post(note: Note) {
    this.#channel?.postMessage(note)
  }

  /** Needed on `pagehide`: the back/forward cache evicts pages with an open channel. */
  close() {
    this.#channel?.close()
    this.#channel = undefined
  }
}

export function toNote(connection: Connection): ConnectionNote {
  if (connection.state !== 'waiting') return connection
  const { code, status, detail } = connection.problem
  return { ...connection, problem: { code, status, detail } }
}

export const fromNote = (note: ConnectionNote): Connection =>
  note.state === 'waiting' ? { ...note, problem: new RestanteProblem(note.problem) } : note
