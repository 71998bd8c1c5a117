/**
 * The thread that owns the SQLite file. Calls arrive as messages and run strictly one after the other, so
 * there is one writer and no transaction ever meets another; and no sync of the disk holds up the thread that
 * serves HTTP.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { DatabaseInUse } from '../database.ts'
import { type Call, type Failure, OPENING, type Reply, type ThreadData } from './calls.ts'
import { isPassing } from './result-codes.ts'
import { openStore } from './store.ts'

if (parentPort) await serve(parentPort, workerData as ThreadData)

async function serve(port: NonNullable<typeof parentPort>, { path, limits }: ThreadData) {
  const store = await attempt(OPENING, () => openStore(path, limits))
  if (!store) return
  const { verbs, afterEach } = store

  const calls: Call[] = []
  let running = false
  port.on('message', (call: Call) => {
    calls.push(call)
    if (!running) void runCalls()
  })

  async function runCalls() {
    running = true
    for (let call = calls.shift(); call; call = calls.shift()) {
      const { id, verb, args } = call
      await attempt(id, () => (verbs[verb] as (...args: unknown[]) => Promise<unknown>)(...args))
      if (verb === 'close') port.close()
      else afterEach()
    }
    running = false
  }

  function reply(message: Reply) {
    port.postMessage(message)
  }

  async function attempt<T>(id: number, run: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await run()
      reply({ id, value: id === OPENING ? undefined : value })
      return value
    } catch (error) {
      reply({ id, failure: asFailure(error) })
      return undefined
    }
  }
}

function asFailure(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  if (error instanceof DatabaseInUse) return { kind: 'in use', message, stack }
  return { kind: isPassing(error) ? 'unavailable' : 'fault', message, stack }
}
