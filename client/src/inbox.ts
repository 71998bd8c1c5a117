import type { Answer, CallOptions } from './api.ts'
import type { Gap, Input, Message, Operation, Output, Page } from './operations.ts'
import { RestanteProblem } from './problem.ts'
import { repeat } from './repeat.ts'
import type { StoredSession } from './store.ts'
import { type Alarm, linkedController, pause, pauseMs } from './wait.ts'

const WAIT_SECONDS = 25
/** A poll that is not answered so long after its time has a dead connection. */
const POLL_LATE_MS = 10_000
/** An empty answer that comes sooner than this, though it was to wait, is followed by a pause. */
const HASTY_MS = 500
const LAST_ACKNOWLEDGEMENT_TIMEOUT_MS = 5_000

/** How the inbox is connected. */
export type InboxState =
  | { state: 'connecting' | 'live' }
  /** The last request failed. */
  | { state: 'waiting'; retryInMs: number; problem: RestanteProblem }

export interface InboxOptions {
  /** Ends the loop. */
  signal?: AbortSignal | undefined
  /** Whether nobody is looking, so that the account is not shown online. Asked before each poll. */
  away?: boolean | (() => boolean) | undefined
  /** Called when messages are missing, before the message that follows them. The loop waits for it. */
  onGap?: ((gap: Gap) => unknown) | undefined
  /** Called when the connection changes. */
  onState?: ((state: InboxState) => unknown) | undefined
}

/** What the inbox needs of its session. */
interface SessionParts {
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

/** The loop of docs/clients.md: read, hand over, remember the cursor, read on. */
export class Inbox {
  readonly #session: SessionParts
  #reading = false
  /** How far the server has it from us that messages are finished. */
  #acknowledged: number
  /** How far the store knows it too. */
  #saved: number
  #connection: InboxState['state'] | undefined
  /** Before the next poll: the server asks for it when it stops. */
  #askedPauseMs = 0

  constructor(session: SessionParts) {
    this.#session = session
    this.#acknowledged = this.#saved = session.state.cursor
  }

  async *messages(options: InboxOptions): AsyncGenerator<Message, void, void> {
    if (this.#reading) throw new TypeError('This session has a loop over its inbox already.')
    this.#reading = true
    this.#connection = undefined
    const { state } = this.#session
    const { signal, onGap } = options
    try {
      this.#tell(options, { state: 'connecting' })
      while (!signal?.aborted) {
        // The inbox is asked behind the login's messages only: asking is a receipt for all of them.
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

  /** The program has finished the messages up to this one. */
  async #finish(seq: number) {
    const { state, save } = this.#session
    state.cursor = seq
    if (state.page && seq >= state.page.cursor) delete state.page
    await save()
    this.#saved = seq
  }

  /** Resolves with the next page, or with nothing when the signal aborts. */
  async #read(options: InboxOptions): Promise<Page | undefined> {
    const { signal } = options
    const { alarm, state } = this.#session
    // The first poll of a connection does not wait: it gets what is there, or fails at once.
    let wait = this.#connection === 'live' ? WAIT_SECONDS : 0
    try {
      for (;;) {
        if (this.#askedPauseMs > 0) await pause(this.#askedPauseMs, true, { alarm, signal })
        this.#askedPauseMs = 0
        const after = state.cursor
        const askedAtMs = Date.now()
        const answer = await repeat((failures) => this.#poll(after, failures > 0 ? 0 : wait, options), {
          signal,
          alarm,
          onPause: (problem, retryInMs) => this.#tell(options, { state: 'waiting', retryInMs, problem }),
        })
        if (answer === 'woken') {
          wait = 0
          continue
        }
        this.#acknowledged = Math.max(this.#acknowledged, after)
        const hasty = wait > 0 && answer.value.cursor === after && Date.now() - askedAtMs < HASTY_MS
        this.#askedPauseMs = answer.retryAfterMs ?? (hasty ? pauseMs(1, undefined) : 0)
        this.#tell(options, { state: 'live' })
        return answer.value
      }
    } catch (error) {
      if (signal?.aborted) return undefined
      if (error instanceof RestanteProblem && error.code === 'cursor_ahead' && error.cursor !== undefined)
        return this.#goBack(error.cursor, options)
      throw error
    }
  }

  /** One poll. Resolves early with `woken` when its connection may be dead. */
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

  /** This inbox has never been so far: the server was set back without knowing it. */
  async #goBack(newest: number, { onGap }: InboxOptions): Promise<Page> {
    const { state } = this.#session
    await onGap?.({ from: newest + 1, to: state.cursor, reason: 'cursor_ahead' })
    this.#acknowledged = newest
    await this.#finish(newest)
    return { messages: [], cursor: newest, hasMore: false }
  }

  /** Acknowledges what was finished since the last read. When that fails, those messages come again. */
  async #acknowledgeLast() {
    const { state, call } = this.#session
    // The login's messages are acknowledged together.
    if (state.page || this.#saved <= this.#acknowledged) return
    try {
      await call('acknowledge', { cursor: this.#saved }, { timeoutMs: LAST_ACKNOWLEDGEMENT_TIMEOUT_MS })
      this.#acknowledged = this.#saved
    } catch {}
  }

  #tell({ onState }: InboxOptions, state: InboxState) {
    if (state.state === this.#connection && state.state !== 'waiting') return
    this.#connection = state.state
    onState?.(state)
  }
}
