import { setTimeout } from 'node:timers/promises'
import type { Handler } from '../contract/handler.ts'
import type { Database } from '../database/database.ts'
import { overloaded } from '../problems.ts'

/** A load balancer asks every few seconds, and should hear no rather than nothing. */
const PATIENCE_MS = 2_000

/** GET /readyz: ready is who can serve now. */
export const getReadiness =
  (database: Pick<Database, 'ping'>): Handler<'getReadiness'> =>
  async () => {
    const late = setTimeout(PATIENCE_MS, 'late' as const, { ref: false })
    if ((await Promise.race([database.ping(), late])) === 'late')
      throw overloaded('The database does not answer.')
    return { status: 'ready' }
  }
