import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { weightOf } from './request-weight.ts'

/** How many short requests of one source are handled per turn of the event loop. */
const PER_TURN_MAX = 16

/** How many short requests may wait in all, each in memory with its headers. */
const WAITING_REQUESTS_MAX = 2_048

/** How many connections of a source may always wait, however many sources there are. */
const WAITING_CONNECTIONS_MIN = 16

/** An address, or a connection of a proxy, whose requests take turns with those of other sources. */
export interface Source {
  /** The turn in which it was last looked at. */
  turn: number
  /** How much of its share it has used in that turn, or in advance: a long request counts as several. */
  used: number
  /** Begins what must wait: requests, and connections that must not read further ones, in their order. */
  waiting: (() => void)[] | undefined
  /** How many of these are connections. */
  connectionsWaiting: number
}

export const newSource = (): Source => ({ turn: -1, used: 0, waiting: undefined, connectionsWaiting: 0 })

/**
 * Lets sources take turns. A source with many requests at once, on however many connections, gets its share
 * of each turn of the event loop, so that others need not wait for all of them. A source that is alone loses
 * nothing by it: its next turn follows at once.
 *
 * Requests that Node has parsed wait in memory; a connection with more of them stops reading until it is
 * called. When too many requests wait, the source of a further one begins its oldest at once. When too many
 * connections wait, no further one that sends ahead may, if its source has its share of them.
 */
export class RequestTurns {
  readonly #handle: RequestListener
  readonly #connectionsMax: number
  /** Sources that wait for something. */
  readonly #waiting = new Set<Source>()
  #requestsWaiting = 0
  #connectionsWaiting = 0
  #turn = 0
  #endIsScheduled = false

  /** @param connectionsMax how many connections may wait before sources have shares */
  constructor(handle: RequestListener, connectionsMax: number) {
    this.#handle = handle
    this.#connectionsMax = connectionsMax
  }

  /** Whether a request may begin at once, or a connection may read one without being called. */
  isFree(source: Source): boolean {
    return source.waiting === undefined && this.#hasShare(source)
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
      this.#use(source, weight)
      this.#handle(request, response)
    }
    if (wasCalled || this.isFree(source)) {
      handle()
      return
    }
    this.#requestsWaiting += weight
    this.#wait(source, () => {
      this.#requestsWaiting -= weight
      // The client may be gone.
      if (!request.socket.destroyed) handle()
    })
    while (this.#requestsWaiting > WAITING_REQUESTS_MAX && source.waiting) this.#beginOldest(source)
  }

  /** Whether no further connection of a source that sends ahead may wait. */
  isFull(source: Source): boolean {
    if (this.#connectionsWaiting < this.#connectionsMax) return false
    const share = this.#connectionsMax / this.#waiting.size
    return source.connectionsWaiting >= Math.max(share, WAITING_CONNECTIONS_MIN)
  }

  /** Calls a connection when it is its turn to read a request. */
  call(source: Source, proceed: () => void): void {
    this.#scheduleEnd()
    this.#connectionsWaiting += 1
    source.connectionsWaiting += 1
    this.#wait(source, () => {
      this.#connectionsWaiting -= 1
      source.connectionsWaiting -= 1
      // It reads a moment later. Until then, all could be called at once.
      this.#use(source, 1)
      proceed()
    })
  }

  #wait(source: Source, begin: () => void) {
    source.waiting ??= []
    source.waiting.push(begin)
    this.#waiting.add(source)
  }

  #hasShare(source: Source): boolean {
    const passed = this.#turn - source.turn
    source.turn = this.#turn
    source.used = Math.max(source.used - passed * PER_TURN_MAX, 0)
    return source.used < PER_TURN_MAX
  }

  #use(source: Source, weight: number) {
    this.#hasShare(source)
    source.used += weight
  }

  #scheduleEnd() {
    if (this.#endIsScheduled) return
    this.#endIsScheduled = true
    setImmediate(() => {
      this.#endIsScheduled = false
      this.#turn += 1
      for (const source of this.#waiting)
        while (source.waiting && this.#hasShare(source)) this.#beginOldest(source)
      if (this.#waiting.size > 0) this.#scheduleEnd()
    })
  }

  #beginOldest(source: Source) {
    const begin = source.waiting?.shift()
    if (source.waiting?.length === 0) {
      source.waiting = undefined
      this.#waiting.delete(source)
    }
    begin?.()
  }
}
