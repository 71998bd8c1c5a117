import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DatabaseInUse, DatabaseUnavailable, DatabaseUnusable } from '../database.ts'
import { type Call, type Failure, OPENING, type Reply, type ThreadData } from './calls.ts'

/**
 * Calls under way or waiting for a thread; one more is refused, so that a stalled disk cannot fill the
 * memory.
 */
const CALLS_MAX = 20_000

export interface DatabaseThread {
  /** How many inboxes were moved on, because the file is a restored backup. */
  restored: number | undefined
  /** @throws DatabaseUnavailable when too many calls wait already, or the store cannot serve now */
  call: (verb: Call['verb'], args: unknown[]) => Promise<unknown>
  close: () => Promise<void>
}

/**
 * Starts a database thread. Resolves when it has opened the file.
 *
 * @param onLoss called when it dies
 * @throws DatabaseInUse, DatabaseUnusable when it cannot open the file
 */
export async function startThread(data: ThreadData, onLoss: (error: Error) => void): Promise<DatabaseThread> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  // The same file runs built (.js) and as a source (.ts).
  const file = new URL(`./thread${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: data })
  let closing = false
  let opened = false

  worker.on('message', ({ id, value, failure }: Reply) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (failure) call?.reject(asError(failure))
    else call?.resolve(value)
  })
  worker.on('error', fail)
  worker.on('exit', (code) => fail(new Error(`The database thread ended by itself, with ${code}.`)))

  let failed = false
  function fail(error: Error) {
    if (failed) return
    failed = true
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    // Before the file is open, the start fails with the same error.
    if (opened && !closing) onLoss(error)
  }

  let lastId = OPENING
  const reply = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
    })
  async function call(verb: Call['verb'], args: unknown[]) {
    if (failed) throw new DatabaseUnavailable('The database thread is gone.')
    if (waiting.size >= CALLS_MAX) throw new DatabaseUnavailable('The database has too much to do.')
    lastId += 1
    worker.postMessage({ id: lastId, verb, args } satisfies Call)
    return reply(lastId)
  }

  let restored: number | undefined
  try {
    restored = (await reply(OPENING)) as number | undefined
    opened = true
  } catch (error) {
    if (error instanceof DatabaseInUse) throw error
    const message = `The database ${data.path} cannot be opened: ${(error as Error).message}`
    throw new DatabaseUnusable(message, { cause: error })
  }
  return {
    restored,
    call,
    close: async () => {
      closing = true
      const exited = once(worker, 'exit')
      await call('close', [])
      await exited
    },
  }
}

function asError({ kind, message, stack }: Failure): Error {
  if (kind === 'in use') return new DatabaseInUse(message)
  if (kind === 'unusable') return new DatabaseUnusable(message)
  if (kind === 'unavailable') return new DatabaseUnavailable(message)
  const error = new Error(message)
  if (stack) error.stack = stack
  return error
}
