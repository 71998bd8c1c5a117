/**
 * The servers of a process use the database threads of earlier servers again: starting two threads, with
 * Prisma in one of them, takes 0.2 s of processor time. The program itself always starts its own.
 */
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import threads, { MessageChannel } from 'node:worker_threads'

const { Worker } = threads
const HOST = new URL('./thread-host.mjs', import.meta.url)

/** Threads without work. @type {import('node:worker_threads').Worker[]} */
const idle = []

/** In place of a `Worker`: ends when the code in the thread closes its port. */
class RecycledWorker extends EventEmitter {
  #port

  /**
   * @param {URL} file
   * @param {{ workerData: unknown }} options
   */
  constructor(file, { workerData }) {
    super()
    const { port1, port2 } = new MessageChannel()
    const host = idle.pop() ?? new Worker(HOST)
    const fail = (/** @type {unknown} */ error) => this.emit('error', error)
    let code = 0
    // What the thread says of itself may arrive before the last message of the port, so both must have ended.
    let ends = 0
    const end = () => {
      ends += 1
      if (ends < 2) return
      host.off('error', fail).off('exit', exit).off('message', end).unref()
      if (host.threadId > 0) idle.push(host)
      this.emit('exit', code)
    }
    const exit = (/** @type {number} */ given) => {
      code = given
      end()
    }
    host.on('error', fail).on('exit', exit).on('message', end).ref()
    port1.on('message', (message) => this.emit('message', message)).once('close', end)
    host.postMessage({ file: file.href, workerData, port: port2 }, [port2])
    this.#port = port1
  }

  /** @param {unknown} message */
  postMessage(message) {
    this.#port.postMessage(message)
  }
}

// At its end Node waits for background tasks of V8, also those of its threads, and sometimes for ever
// (nodejs/node issue 54918). Without threads there are fewer.
process.on('beforeExit', () => {
  for (const host of idle.splice(0)) void host.terminate()
})

Object.assign(threads, { Worker: RecycledWorker })
syncBuiltinESMExports()
