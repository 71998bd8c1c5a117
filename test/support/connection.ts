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

export const connection = () => new TestConnection()
