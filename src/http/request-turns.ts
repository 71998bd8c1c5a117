import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { weightOf } from './request-weight.ts'

/** How many short requests of one source are handled per turn of the event loop. */
const PER_TURN_MAX = 16

/** How many short requests may wait in all, each in memory with its headers. */
const REQUESTS_MAX = 2_048

/** How many connections may wait in all, each with up to 128 KiB that were read. */
const CONNECTIONS_MAX = 1_024

/** An address, or a connection of a proxy, whose requests take turns with those of other sources. */
export interface Source {
  /** The turn of its last request, and how many were handled in it. A long request counts as several. */
  turn: number
  handledInTurn: number
  /** Requests beyond its share, and connections that must not read further ones, in their order. */
  waiting: (() => void)[] | undefined
}

/**
 * Lets sources take turns. A source with many requests at once, on however many connections, gets its share
 * of each turn of the event loop, so that others need not wait for all of them. A source that is alone loses
 * nothing by it: its next turn follows at once.
 *
 * Requests that Node has parsed wait in memory; a connection with more of them stops reading until it is
 * called. When too many wait, further requests are handled at once.
 */
export class RequestTurns {
  readonly #handle: RequestListener
  /** Sources that wait for something. */
  readonly #waiting = new Set<Source>()
  #requestsWaiting = 0
  #connectionsWaiting = 0
  #turn = 0
  #endIsScheduled = false

  constructor(handle: RequestListener) {
    this.#handle = handle
  }

  /** Whether a request would be handled at once. */
  isOpen(source: Source): boolean {
    const isFree = source.waiting === undefined && this.#hasShare(source)
    return isFree || this.#requestsWaiting >= REQUESTS_MAX || this.#connectionsWaiting >= CONNECTIONS_MAX
  }

  /**
   * Handles a request now, or in one of the next turns.
   *
   * @param wasCalled whether its connection has waited for its turn
   */
  take(source: Source, request: IncomingMessage, response: ServerResponse, wasCalled: boolean): void {
    this.#scheduleEnd()
    const weight = weightOf(request)
    const handle = () => {
      source.handledInTurn += weight
      this.#handle(request, response)
    }
    if (wasCalled || this.isOpen(source)) {
      handle()
      return
    }
    this.#requestsWaiting += weight
    this.#wait(source, () => {
      this.#requestsWaiting -= weight
      // The client may be gone.
      if (!request.socket.destroyed) handle()
    })
  }

  /** Calls a connection when it is its turn to read a request. */
  call(source: Source, proceed: () => void): void {
    this.#scheduleEnd()
    this.#connectionsWaiting += 1
    this.#wait(source, () => {
      this.#connectionsWaiting -= 1
      // Until it has read a request, so that not all are called at once.
      source.handledInTurn += 1
      proceed()
    })
  }

  #wait(source: Source, begin: () => void) {
    source.waiting ??= []
    source.waiting.push(begin)
    this.#waiting.add(source)
  }

  #hasShare(source: Source): boolean {
    if (source.turn !== this.#turn) {
      source.turn = this.#turn
      source.handledInTurn = 0
    }
    return source.handledInTurn < PER_TURN_MAX
  }

  #scheduleEnd() {
    if (this.#endIsScheduled) return
    this.#endIsScheduled = true
    setImmediate(() => {
      this.#endIsScheduled = false
      this.#turn += 1
      for (const source of this.#waiting) this.#beginWaiting(source)
      if (this.#waiting.size > 0) this.#scheduleEnd()
    })
  }

  #beginWaiting(source: Source) {
    const { waiting = [] } = source
    let begun = 0
    for (const begin of waiting) {
      if (!this.#hasShare(source)) break
      begun += 1
      begin()
    }
    if (begun < waiting.length) source.waiting = waiting.slice(begun)
    else {
      source.waiting = undefined
      this.#waiting.delete(source)
    }
  }
}
