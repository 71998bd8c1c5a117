import { setTimeout as pause } from 'node:timers/promises'
import type { Handler } from '../contract/handler.ts'
import type { Database } from '../database/database.ts'
import { overloaded } from '../problems.ts'

/** A load balancer asks every few seconds, and should hear no rather than nothing. */
const PATIENCE_MS = 2_000

/** GET /readyz: ready is who can serve now. */
export const getReadiness = (database: Pick<Database, 'ping'>): Handler<'getReadiness'> => {
  let asked: Promise<void> | undefined
  /** One question at a time for all who ask: each is written, and waits in line with the commits. */
  const ask = () => {
    asked ??= database.ping().finally(() => {
      asked = undefined
    })
    return asked
  }
  return async () => {
    const answered = new AbortController()
    const late = pause(PATIENCE_MS, 'late' as const, { ref: false, signal: answered.signal })
    late.catch(() => {})
    try {
      if ((await Promise.race([ask(), late])) === 'late') throw overloaded('The database does not answer.')
    } finally {
      answered.abort()
    }
    return { status: 'ready' }
  }
}
