import type { Answer, CallOptions } from './api.ts'
import type { Gap, Input, Message, Operation, Output, Page } from './operations.ts'
import { RestanteProblem } from './problem.ts'
import { repeat } from './repeat.ts'
import type { StoredSession } from './store.ts'
import { type Alarm, linkedController, pause, pauseMs } from './wait.ts'

const WAIT_SECONDS = 25
/** A poll that gets no response this long after its wait has a dead connection. */
const POLL_LATE_MS = 10_000
/** An empty response to a waiting poll that comes sooner than this is followed by a pause. */
const EARLY_MS = 500
const LAST_ACKNOWLEDGEMENT_TIMEOUT_MS = 5_000

/** The connection of the inbox. */
export type InboxState =
  | { state: 'connecting' | 'live' }
  /** The last request failed. */
  | { state: 'waiting'; retryInMs: number; problem: RestanteProblem }

export interface InboxOptions {
  /** Ends the loop. */
  signal?: AbortSignal | undefined
  /** Whether the user is away, so the account is not shown online. A function is called before each poll. */
  away?: boolean | (() => boolean) | undefined
  /** Called about missing messages, before the message that follows them. The loop waits for it. */
  onGap?: ((gap: Gap) => unknown) | undefined
  /** Called when the connection changes. */
  onState?: ((state: InboxState) => unknown) | undefined
}

/** What the inbox needs from its session. */
interface InboxSession {
  state: StoredSession
  alarm: Alarm
  save: () => Promise<void>
  call: <O extends Operation>(
    operation: O,
    input: Input<O>,
    options: CallOptions,
  ) => Promise<Answer<Output<O>>>
  renewalInMs: () => number
}

/** The loop of docs/clients.md: read, yield the messages, save the cursor, repeat. */
export class Inbox {
  readonly #session: InboxSession
  #reading = false
  /** The cursor that the server has. */
  #acknowledged: number
  /** The cursor that the store has. */
  #saved: number
  #connection: InboxState['state'] | undefined
  /** The pause before the next poll, such as a stopping server asks for. */
  #nextPauseMs = 0

  constructor(session: InboxSession) {
    this.#session = session
    this.#acknowledged = this.#saved = session.state.cursor
  }

  async *messages(options: InboxOptions): AsyncGenerator<Message, void, void> {
    if (this.#reading) throw new TypeError('This session already has a loop over its inbox.')
    this.#reading = true
    this.#connection = undefined
    const { state } = this.#session
    const { signal, onGap } = options
    try {
      this.#report(options, { state: 'connecting' })
      while (!signal?.aborted) {
        // Read only after the messages of the login are finished: reading acknowledges all of them.
        const page = state.page ?? (await this.#read(options))
        if (!page) break
        if (page.gap && page.gap.to > state.cursor) {
          await onGap?.(page.gap)
          await this.#finish(page.gap.to)
        }
        for (const message of page.messages) {
          if (message.seq <= state.cursor) continue
          yield message
          await this.#finish(message.seq)
          if (signal?.aborted) break
        }
      }
    } finally {
      this.#reading = false
      await this.#acknowledgeLast()
    }
  }

  /** Notes that the program has finished the messages up to this one. */
  async #finish(seq: number) {
    const { state, save } = this.#session
    state.cursor = seq
    if (state.page && seq >= state.page.cursor) delete state.page
    await save()
    this.#saved = seq
  }

  /** Resolves with the next page, or undefined when the signal aborts. */
  async #read(options: InboxOptions): Promise<Page | undefined> {
    const { signal } = options
    const { alarm, state } = this.#session
    // The first poll does not wait, so a dead connection shows at once.
    let wait = this.#connection === 'live' ? WAIT_SECONDS : 0
    try {
      for (;;) {
        if (this.#nextPauseMs > 0) await pause(this.#nextPauseMs, true, { alarm, signal })
        this.#nextPauseMs = 0
        const after = state.cursor
        const askedAtMs = Date.now()
        const answer = await repeat((failures) => this.#poll(after, failures > 0 ? 0 : wait, options), {
          signal,
          alarm,
          onPause: (problem, retryInMs) => this.#report(options, { state: 'waiting', retryInMs, problem }),
        })
        if (answer === 'woken') {
          wait = 0
          continue
        }
        this.#acknowledged = Math.max(this.#acknowledged, after)
        const isEarly = wait > 0 && answer.value.cursor === after && Date.now() - askedAtMs < EARLY_MS
        this.#nextPauseMs = answer.retryAfterMs ?? (isEarly ? pauseMs(1, undefined) : 0)
        this.#report(options, { state: 'live' })
        return answer.value
      }
    } catch (error) {
      if (signal?.aborted) return undefined
      if (error instanceof RestanteProblem && error.code === 'cursor_ahead' && error.cursor !== undefined)
        return this.#resetTo(error.cursor, options)
      throw error
    }
  }

  /** One poll. Resolves with `woken` when the alarm rings, because the connection may be dead. */
  async #poll(after: number, waitSeconds: number, { signal, away }: InboxOptions) {
    const { alarm, call, renewalInMs } = this.#session
    const untilRenewal = Math.max(1, Math.ceil(renewalInMs() / 1_000))
    const wait = Math.min(waitSeconds, untilRenewal)
    const isAway = typeof away === 'function' ? away() : away
    const input = { after, wait, ...(isAway && { away: true }) }
    const { controller, unlink } = linkedController(signal)
    const stop = alarm.on(() => controller.abort())
    try {
      return await call('readInbox', input, {
        signal: controller.signal,
        timeoutMs: wait * 1_000 + POLL_LATE_MS,
      })
    } catch (error) {
      if (controller.signal.aborted && !signal?.aborted) return 'woken'
      throw error
    } finally {
      stop()
      unlink()
    }
  }

  /** Our cursor is beyond the inbox: the server was restored without noticing. */
  async #resetTo(newest: number, { onGap }: InboxOptions): Promise<Page> {
    const { state } = this.#session
    await onGap?.({ from: newest + 1, to: state.cursor, reason: 'cursor_ahead' })
    this.#acknowledged = newest
    await this.#finish(newest)
    return { messages: [], cursor: newest, hasMore: false }
  }

  /** Acknowledges what was finished since the last read. If that fails, those messages come again. */
  async #acknowledgeLast() {
    const { state, call } = this.#session
    // The messages of the login can only be acknowledged together.
    if (state.page || this.#saved <= this.#acknowledged) return
    try {
      await call('acknowledge', { cursor: this.#saved }, { timeoutMs: LAST_ACKNOWLEDGEMENT_TIMEOUT_MS })
      this.#acknowledged = this.#saved
    } catch {}
  }

  #report({ onState }: InboxOptions, state: InboxState) {
    if (state.state === this.#connection && state.state !== 'waiting') return
    this.#connection = state.state
    onState?.(state)
  }
}
