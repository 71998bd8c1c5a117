import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { weightOf } from './request-weight.ts'

/** How many short requests of one source are handled per turn of the event loop. */
const PER_TURN_MAX = 16

/** An address, or a connection of a proxy, whose requests take turns with those of other sources. */
export interface Source {
  /** The turn of its last request, and how many were handled in it. A long request counts as several. */
  turn: number
  handledInTurn: number
  /** Requests beyond its share of the turn, in the order of their arrival. */
  waiting: [IncomingMessage, ServerResponse][] | undefined
}

/**
 * Lets sources take turns. A source with many requests at once, on however many connections, gets its share
 * of each turn of the event loop, so that others need not wait for all of them. A source that is alone loses
 * nothing by it: its next turn follows at once.
 */
export class RequestTurns {
  readonly #handle: RequestListener
  /** Sources with waiting requests. */
  readonly #waiting = new Set<Source>()
  #turn = 0
  #endIsScheduled = false

  constructor(handle: RequestListener) {
    this.#handle = handle
  }

  /** Handles a request now, or in one of the next turns. */
  take(source: Source, request: IncomingMessage, response: ServerResponse): void {
    this.#scheduleEnd()
    if (!source.waiting && this.#hasShare(source)) {
      this.#begin(source, request, response)
      return
    }
    source.waiting ??= []
    source.waiting.push([request, response])
    this.#waiting.add(source)
  }

  #hasShare(source: Source): boolean {
    if (source.turn !== this.#turn) {
      source.turn = this.#turn
      source.handledInTurn = 0
    }
    return source.handledInTurn < PER_TURN_MAX
  }

  #begin(source: Source, request: IncomingMessage, response: ServerResponse) {
    source.handledInTurn += weightOf(request)
    this.#handle(request, response)
  }

  #scheduleEnd() {
    if (this.#endIsScheduled) return
    this.#endIsScheduled = true
    setImmediate(() => {
      this.#endIsScheduled = false
      this.#turn += 1
      for (const source of this.#waiting) this.#handleWaiting(source)
      if (this.#waiting.size > 0) this.#scheduleEnd()
    })
  }

  #handleWaiting(source: Source) {
    const { waiting = [] } = source
    let handled = 0
    for (const [request, response] of waiting) {
      if (!this.#hasShare(source)) break
      handled += 1
      // The client may be gone.
      if (!response.destroyed) this.#begin(source, request, response)
    }
    if (handled < waiting.length) source.waiting = waiting.slice(handled)
    else {
      source.waiting = undefined
      this.#waiting.delete(source)
    }
  }
}
