import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  type Database,
  DatabaseInUse,
  DatabaseUnavailable,
  DatabaseUnusable,
  type StoreLimits,
} from '../database.ts'
import { type Call, type Failure, OPENING, type Reply, type ThreadData } from './calls.ts'

/**
 * Calls under way or waiting for the thread; one more is refused, so that a stalled disk cannot fill the
 * memory.
 */
const CALLS_MAX = 20_000

/** All verbs: the compiler misses one that is missing. */
const VERBS: Record<keyof Database, true> = {
  createAccount: true,
  findAccount: true,
  changePassword: true,
  deleteAccount: true,
  openSession: true,
  findSession: true,
  extendSession: true,
  endSession: true,
  commit: true,
  readInbox: true,
  findMessage: true,
  purge: true,
  ping: true,
  close: true,
}

/**
 * Opens the SQLite database in a thread of its own; every verb is sent there and answered in turn.
 *
 * @param path the SQLite file, created and migrated when needed
 * @param onLoss called when the thread dies: what it was doing is unknown, so the process should end
 * @throws DatabaseInUse when another process has the file, DatabaseUnusable when it cannot be opened
 */
export async function openSqlite(
  path: string,
  limits: StoreLimits,
  onLoss: (error: Error) => void,
): Promise<Database> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  // The same file runs built (.js) and as a source (.ts).
  const file = new URL(`./thread${extname(import.meta.url)}`, import.meta.url)
  const thread = new Worker(file, { workerData: { path, limits } satisfies ThreadData })

  thread.on('message', ({ id, value, failure }: Reply) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (failure) call?.reject(asError(failure))
    else call?.resolve(value)
  })
  thread.on('error', (error: Error) => {
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    onLoss(error)
  })

  let lastId = OPENING
  const reply = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
    })
  const call = async (verb: Call['verb'], args: unknown[]) => {
    if (waiting.size >= CALLS_MAX) throw new DatabaseUnavailable('The database has too much to do.')
    lastId += 1
    thread.postMessage({ id: lastId, verb, args } satisfies Call)
    return reply(lastId)
  }

  await reply(OPENING).catch((error: Error) => {
    if (error instanceof DatabaseInUse) throw error
    throw new DatabaseUnusable(`The database ${path} cannot be opened: ${error.message}`, { cause: error })
  })
  const verbs = Object.keys(VERBS).map((verb) => [
    verb,
    (...args: unknown[]) => call(verb as Call['verb'], args),
  ])
  return Object.fromEntries(verbs) as Database
}

function asError({ kind, message, stack }: Failure): Error {
  if (kind === 'in use') return new DatabaseInUse(message)
  if (kind === 'unavailable') return new DatabaseUnavailable(message)
  const error = new Error(message)
  if (stack) error.stack = stack
  return error
}
