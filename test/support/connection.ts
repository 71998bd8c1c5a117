import { EventEmitter } from 'node:events'

/** The part of a socket that a parked poll uses. */
class TestConnection extends EventEmitter {
  destroyed = false

  destroy(): this {
    this.destroyed = true
    this.emit('close')
    return this
  }
}

/** The part of a response that a page uses. */
export class TestResponse extends TestConnection {
  socket: object | null = {}

  /** The responses before it are written. */
  getSocket() {
    this.socket = {}
    this.emit('socket')
  }

  /** The response is written. */
  end() {
    this.emit('close')
  }
}

export const connection = () => new TestConnection()

/** @param isNext false if others come before it on its connection */
export function response({ isNext = true } = {}): TestResponse {
  const made = new TestResponse()
  if (!isNext) made.socket = null
  return made
}
