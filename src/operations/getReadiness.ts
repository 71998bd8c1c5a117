import { setTimeout as pause } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Database } from '../database/database.ts'
import { overloaded } from '../problems.ts'

/** How long a check waits: a load balancer should get a refusal rather than no response. */
const PATIENCE_MS = 2_000

/** How long one result is reused for all requests. */
const FRESH_MS = 1_000

/** GET /readyz: ready means that the database answers. */
export const getReadiness = (database: Pick<Database, 'ping'>): Handler<'getReadiness'> => {
  let ping: Promise<void> | undefined
  let answer: Promise<void> | undefined
  let askedAtMs = Number.NEGATIVE_INFINITY

  /** One check at a time: on SQLite each writes, and queues with the commits. */
  const ask = async () => {
    ping ??= database.ping().finally(() => {
      ping = undefined
    })
    const answered = new AbortController()
    const late = pause(PATIENCE_MS, 'late' as const, { ref: false, signal: answered.signal })
    late.catch(() => {})
    try {
      if ((await Promise.race([ping, late])) === 'late') throw overloaded('The database does not answer.')
    } finally {
      answered.abort()
    }
  }

  return async () => {
    if (!answer || monotonicMs() - askedAtMs >= FRESH_MS) {
      askedAtMs = monotonicMs()
      answer = ask()
    }
    await answer
    return { status: 'ready' }
  }
}
