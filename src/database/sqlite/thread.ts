/**
 * A database thread: the writer, the reader, or the one that makes checkpoints. Calls arrive as messages and
 * run strictly one after the other.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { DatabaseUnavailable } from '../database.ts'
import { isDamage, isTransient } from './errors.ts'
import { type Call, OPENING, type Opened, type Reply, type ThreadData, toFailure } from './thread-messages.ts'

if (parentPort) await serve(parentPort, workerData as ThreadData)

/** The part of the store that a thread serves. */
interface Part {
  verbs: object
  /** Called before each verb. */
  before?: () => void
  /** Called after each verb has settled. */
  after?: () => void
  restored?: number | undefined
}

async function openPart(data: ThreadData): Promise<Part> {
  // Each loads only what it needs.
  if (data.role === 'writer') return (await import('./writer.ts')).openWriter(data.path, data.limits)
  if (data.role === 'reader') return (await import('./reader.ts')).openReader(data.path)
  return (await import('./checkpoints.ts')).openCheckpoints(data.path)
}

async function serve(port: NonNullable<typeof parentPort>, data: ThreadData) {
  /** Once a page is found damaged others may be, so the store stays not ready until the file is repaired. */
  let damage: string | undefined
  const part = await attempt(
    OPENING,
    () => openPart(data),
    ({ verbs, restored }): Opened => ({ verbs: Object.keys(verbs), restored }),
  )
  if (!part) return
  const { before, after } = part
  const verbs = part.verbs as Record<string, (...args: unknown[]) => Promise<unknown>>

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
        if (verb !== 'close') before?.()
        return verbs[verb]?.(...args)
      })
      if (verb === 'close') port.close()
      else after?.()
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
      reply({ id, failure: toFailure(error, isTransient) })
      return undefined
    }
  }
}
