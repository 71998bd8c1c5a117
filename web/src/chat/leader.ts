import { newKey } from 'restante-client'
import type { ConnectionNote, LeadNote, Note } from './channel.ts'
import type { Surroundings } from './surroundings.ts'

/** How long a leading tab has to answer. */
const ANSWER_MS = 200
const SIGN_OF_LIFE_MS = 2_000
/** Without a sign of life for so long, the leading tab has crashed. */
const SILENT_MS = 6_000
/** The timers of hidden tabs run once a minute. */
const SILENT_HIDDEN_MS = 150_000
/** Hidden tabs leave a free lead to the visible ones, and do not all take it at once. */
const HIDDEN_FIRST_MS = 300
const HIDDEN_SPREAD_MS = 1_000

export interface LeaderParts {
  surroundings: Surroundings
  post: (note: Note) => void
  connection: () => ConnectionNote
  onLead: () => void
  onFollow: () => void
  /** Of another tab that leads. */
  onConnection: (connection: ConnectionNote) => void
}

/**
 * Elects the tab that polls and sends for all. It needs no Web Locks, which pages from plain http addresses
 * do not have, and which a tab that a phone has frozen would keep. A visible tab takes the lead from a hidden
 * one; among equals, the first one keeps it. Two may lead for a moment, which harms nothing: rows have unique
 * ids, sends have idempotency keys.
 */
export class Leader {
  readonly #parts: LeaderParts
  readonly #tab = newKey()
  #sinceMs: number | undefined
  /** By the clock that nobody sets. */
  #heardAtMs = 0
  #pending: ReturnType<typeof setTimeout> | undefined
  #signs: ReturnType<typeof setInterval> | undefined

  constructor(parts: LeaderParts) {
    this.#parts = parts
  }

  get #leading() {
    return this.#sinceMs !== undefined
  }

  start() {
    this.#signs = setInterval(() => this.#giveSign(), SIGN_OF_LIFE_MS)
    this.#ask()
  }

  /** Leaves the lead to others. */
  stop() {
    clearInterval(this.#signs)
    clearTimeout(this.#pending)
    if (!this.#leading) return
    this.#follow()
    this.#parts.post({ type: 'lead-is-free' })
  }

  /** Tells the others, if this tab leads, how it is now. */
  announce() {
    if (this.#sinceMs !== undefined) this.#parts.post(this.#note(this.#sinceMs))
  }

  /** The tab has become visible, or hidden. */
  visibilityChanged() {
    if (this.#leading) this.announce()
    else if (this.#isVisible) this.#ask()
  }

  hear(note: Note) {
    if (note.type === 'who-leads') this.announce()
    else if (note.type === 'lead-is-free') this.#askAfter(this.#isVisible ? 0 : hiddenPauseMs())
    else if (note.type === 'lead') this.#hearLead(note)
  }

  #hearLead(note: LeadNote) {
    if (this.#sinceMs !== undefined) {
      // The other one hears it, and follows.
      if (beats(this.#note(this.#sinceMs), note)) return this.announce()
      this.#follow()
    } else if (this.#isVisible && !note.visible) return this.#take()
    clearTimeout(this.#pending)
    this.#heardAtMs = performance.now()
    this.#parts.onConnection(note.connection)
  }

  get #isVisible() {
    return !this.#parts.surroundings.hidden()
  }

  #note(sinceMs: number): LeadNote {
    const { connection } = this.#parts
    return { type: 'lead', tab: this.#tab, visible: this.#isVisible, sinceMs, connection: connection() }
  }

  #giveSign() {
    if (this.#leading) return this.announce()
    const silentMs = performance.now() - this.#heardAtMs
    if (silentMs > (this.#isVisible ? SILENT_MS : SILENT_HIDDEN_MS)) this.#ask()
  }

  /** Takes the lead unless somebody has it. */
  #ask() {
    this.#parts.post({ type: 'who-leads' })
    clearTimeout(this.#pending)
    this.#pending = setTimeout(() => this.#take(), ANSWER_MS)
  }

  #askAfter(ms: number) {
    clearTimeout(this.#pending)
    this.#pending = setTimeout(() => this.#ask(), ms)
  }

  #take() {
    clearTimeout(this.#pending)
    if (this.#leading) return
    this.#sinceMs = Date.now()
    this.#parts.onLead()
    this.announce()
  }

  #follow() {
    this.#sinceMs = undefined
    this.#parts.onFollow()
  }
}

const hiddenPauseMs = () => HIDDEN_FIRST_MS + Math.random() * HIDDEN_SPREAD_MS

/** Whether the first one of two leading tabs keeps the lead. */
function beats(one: LeadNote, other: LeadNote): boolean {
  if (one.visible !== other.visible) return one.visible
  return one.sinceMs < other.sinceMs || (one.sinceMs === other.sinceMs && one.tab < other.tab)
}
