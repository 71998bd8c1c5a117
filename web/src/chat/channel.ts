import { RestanteProblem } from 'restante-client'
import type { Connection } from './types.ts'

/** A Connection as it goes from tab to tab, which classes do not. */
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

/** What the tabs of an account tell each other. Never a message: those are read from the storage. */
export type Note =
  /** This tab polls and sends for all. Also the answer to `who-leads`, and a sign of life. */
  | LeadNote
  | { type: 'who-leads' }
  /** The leading tab goes. */
  | { type: 'lead-is-free' }
  /** Read these conversations again, and the facts about the account. */
  | { type: 'changed'; conversations: string[] }
  /** Something is to be sent. */
  | { type: 'queued' }
  /** Somebody wants the connection to be tried now. */
  | { type: 'try-now' }

/** All tabs of one login. */
export class Channel {
  readonly #name: string
  readonly #hear: (note: Note) => void
  #channel: BroadcastChannel | undefined

  constructor(name: string, hear: (note: Note) => void) {
    this.#name = name
    this.#hear = hear
  }

  open() {
    this.#channel = new BroadcastChannel(this.#name)
    this.#channel.onmessage = ({ data }) => this.#hear(data)
  }

  post(note: Note) {
    this.#channel?.postMessage(note)
  }

  /** A page with an open channel is dropped from the back/forward cache. */
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
