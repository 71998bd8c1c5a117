import { newKey } from 'restante-client'
import type { BrowserTab } from './browser-tab.ts'
import type { ConnectionNote, LeadNote, Note } from './channel.ts'

/** How long to wait for the reply of a leading tab. */
const ANSWER_MS = 200
const HEARTBEAT_MS = 2_000
/** Without a heartbeat for this long, the leading tab has crashed. */
const SILENT_MS = 6_000
/** Timers of hidden tabs run only once per minute. */
const SILENT_HIDDEN_MS = 150_000
/** Hidden tabs wait, so visible ones take the lead first, and not all hidden ones at once. */
const HIDDEN_FIRST_MS = 300
const HIDDEN_SPREAD_MS = 1_000

export interface LeaderParts {
  browserTab: BrowserTab
  post: (note: Note) => void
  connection: () => ConnectionNote
  onLead: () => void
  onFollow: () => void
  /** Called with the connection of another, leading tab. */
  onConnection: (connection: ConnectionNote) => void
}

/**
 * Elects the tab that polls and sends for all. Not by Web Locks, which do not exist over plain http, and
 * which a tab frozen by a phone would keep. A visible tab takes the lead from a hidden one; among equals, the
 * first keeps it. Two may lead for a moment, which is harmless: rows have unique IDs, and sends have
 * idempotency keys.
 */
export class Leader {
  readonly #parts: LeaderParts
  readonly #tab = newKey()
  #sinceMs: number | undefined
  /** On the monotonic clock. */
  #heardAtMs = 0
  #pending: ReturnType<typeof setTimeout> | undefined
  #heartbeats: ReturnType<typeof setInterval> | undefined

  constructor(parts: LeaderParts) {
    this.#parts = parts
  }

  get #leading() {
    return this.#sinceMs !== undefined
  }

  start() {
    this.#heartbeats = setInterval(() => this.#heartbeat(), HEARTBEAT_MS)
    this.#ask()
  }

  /** Gives up the lead. */
  stop() {
    clearInterval(this.#heartbeats)
    clearTimeout(this.#pending)
    if (!this.#leading) return
    this.#follow()
    this.#parts.post({ type: 'lead-is-free' })
  }

  /** If this tab leads, posts its state to the others. */
  announce() {
    if (this.#sinceMs !== undefined) this.#parts.post(this.#note(this.#sinceMs))
  }

  /** Called when the tab has become visible or hidden. */
  visibilityChanged() {
    if (this.#leading) this.announce()
    else if (this.#isVisible) this.#ask()
  }

  onNote(note: Note) {
    if (note.type === 'who-leads') this.announce()
    else if (note.type === 'lead-is-free') this.#askAfter(this.#isVisible ? 0 : hiddenPauseMs())
    else if (note.type === 'lead') this.#onLead(note)
  }

  #onLead(note: LeadNote) {
    if (this.#sinceMs !== undefined) {
      // The other tab receives this and follows.
      if (beats(this.#note(this.#sinceMs), note)) return this.announce()
      this.#follow()
    } else if (this.#isVisible && !note.visible) return this.#take()
    clearTimeout(this.#pending)
    this.#heardAtMs = performance.now()
    this.#parts.onConnection(note.connection)
  }

  get #isVisible() {
    return !this.#parts.browserTab.hidden()
  }

  #note(sinceMs: number): LeadNote {
    const { connection } = this.#parts
    return { type: 'lead', tab: this.#tab, visible: this.#isVisible, sinceMs, connection: connection() }
  }

  #heartbeat() {
    if (this.#leading) return this.announce()
    const silentMs = performance.now() - this.#heardAtMs
    if (silentMs > (this.#isVisible ? SILENT_MS : SILENT_HIDDEN_MS)) this.#ask()
  }

  /** Takes the lead if no tab replies. */
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

/** Whether the first of two leading tabs keeps the lead. */
function beats(one: LeadNote, other: LeadNote): boolean {
  if (one.visible !== other.visible) return one.visible
  return one.sinceMs < other.sinceMs || (one.sinceMs === other.sinceMs && one.tab < other.tab)
}
