import { EventEmitter } from 'node:events'

/** A socket, as far as a poll that waits cares. */
class TestConnection extends EventEmitter {
  destroyed = false

  destroy(): this {
    this.destroyed = true
    this.emit('close')
    return this
  }
}

/** A response, as far as a page that it carries cares. */
export class TestResponse extends TestConnection {
  socket: object | null = {}

  /** Those that stood before it are written. */
  getSocket() {
    this.socket = {}
    this.emit('socket')
  }

  /** It is written. */
  end() {
    this.emit('close')
  }
}

export const connection = () => new TestConnection()

/** @param isNext false when others stand before it on its connection */
export function response({ isNext = true } = {}): TestResponse {
  const made = new TestResponse()
  if (!isNext) made.socket = null
  return made
}
