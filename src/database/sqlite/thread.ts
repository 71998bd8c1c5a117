/**
 * A database thread. There are two: the one writer, so that no transaction ever meets another, and a reader,
 * so that no read delays a commit. Calls arrive as messages and run strictly one after the other; no sync of
 * the disk delays the HTTP thread.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type Database, DatabaseInUse, DatabaseUnavailable, DatabaseUnusable } from '../database.ts'
import { type Call, type Failure, OPENING, type Reply, type ThreadData } from './calls.ts'
import { isDamage, isPassing } from './result-codes.ts'

if (parentPort) await serve(parentPort, workerData as ThreadData)

/** The side of the store that a thread serves. */
interface End {
  verbs: Partial<Record<keyof Database, unknown>>
  before: () => void
  after: () => void
  restored?: number | undefined
}

async function openEnd({ role, path, limits }: ThreadData): Promise<End> {
  // Each loads only what it needs.
  if (role === 'writer') return (await import('./writer.ts')).openWriter(path, limits)
  return (await import('./reader.ts')).openReader(path)
}

async function serve(port: NonNullable<typeof parentPort>, data: ThreadData) {
  /** Where one page is damaged others may be, so the store stays not ready until the file is repaired. */
  let damage: string | undefined
  const end = await attempt(
    OPENING,
    () => openEnd(data),
    ({ restored }) => restored,
  )
  if (!end) return
  const { verbs, before, after } = end

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
      await attempt(id, async () => {
        if (verb === 'ping' && damage) throw new DatabaseUnavailable(`The file is damaged: ${damage}`)
        if (verb !== 'close') before()
        return (verbs[verb] as (...args: unknown[]) => Promise<unknown>)(...args)
      })
      if (verb === 'close') port.close()
      else after()
    }
    running = false
  }

  function reply(message: Reply) {
    port.postMessage(message)
  }

  async function attempt<T>(
    id: number,
    run: () => Promise<T>,
    toReply: (value: T) => unknown = (value) => value,
  ): Promise<T | undefined> {
    try {
      const value = await run()
      reply({ id, value: toReply(value) })
      return value
    } catch (error) {
      if (isDamage(error)) damage = (error as Error).message
      reply({ id, failure: asFailure(error) })
      return undefined
    }
  }
}

function asFailure(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { kind: kindOf(error), message, stack }
}

function kindOf(error: unknown): Failure['kind'] {
  if (error instanceof DatabaseInUse) return 'in use'
  if (error instanceof DatabaseUnusable) return 'unusable'
  return error instanceof DatabaseUnavailable || isPassing(error) ? 'unavailable' : 'fault'
}
