import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DatabaseUnavailable } from '../database.ts'
import { cannotOpen } from './errors.ts'
import { type Call, OPENING, type Opened, type Reply, type ThreadData, toError } from './thread-messages.ts'

/**
 * Calls under way or waiting for a thread; one more is refused, so that a stalled disk cannot fill the
 * memory.
 */
const CALLS_MAX = 20_000

export interface DatabaseThread<Verbs> {
  /** They reject with DatabaseUnavailable when too many calls wait, or the store cannot serve now. */
  verbs: Verbs
  /** How many inboxes skip numbers, because the file is a restored backup. */
  restored: number | undefined
}

/**
 * Starts a database thread. Resolves when it has opened the file.
 *
 * @template Verbs those of its role
 * @param onFatal called when it dies
 * @throws DatabaseInUse, DatabaseUnusable when it cannot open the file
 */
export async function startThread<Verbs>(
  data: ThreadData,
  onFatal: (error: Error) => void,
): Promise<DatabaseThread<Verbs>> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  // The same file runs built (.js) and as a source (.ts).
  const file = new URL(`./thread${extname(import.meta.url)}`, import.meta.url)
  const worker = new Worker(file, { workerData: data })
  let closing = false
  let opened = false

  worker.on('message', ({ id, value, failure }: Reply) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (failure) call?.reject(toError(failure))
    else call?.resolve(value)
  })
  worker.on('error', fail)
  worker.on('exit', (code) =>
    fail(
      closing
        ? new DatabaseUnavailable('The database is closed.')
        : new Error(`The database thread ended by itself, with ${code}.`),
    ),
  )

  let failed = false
  function fail(error: Error) {
    if (failed) return
    failed = true
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    // Before the file is open, the start fails with the same error.
    if (opened && !closing) onFatal(error)
  }

  let lastId = OPENING
  const reply = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
    })
  async function call(verb: string, args: unknown[]) {
    if (failed) throw new DatabaseUnavailable('The database thread has died.')
    if (waiting.size >= CALLS_MAX) throw new DatabaseUnavailable('The database is overloaded.')
    lastId += 1
    worker.postMessage({ id: lastId, verb, args } satisfies Call)
    return reply(lastId)
  }

  let opening: Opened
  try {
    opening = (await reply(OPENING)) as Opened
    opened = true
  } catch (error) {
    throw cannotOpen(data.path, error)
  }
  const { verbs, restored } = opening
  const calls = verbs.map((verb) => [verb, (...args: unknown[]) => call(verb, args)])
  const close = async () => {
    closing = true
    const exited = once(worker, 'exit')
    await call('close', [])
    await exited
  }
  return { verbs: { ...Object.fromEntries(calls), close }, restored }
}
