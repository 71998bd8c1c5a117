import type { Handler } from '../contract/handler.ts'

/** GET /healthz: liveness only. It ignores the database, because a restart would not mend that. */
export const getHealth =
  (version: string): Handler<'getHealth'> =>
  async () => ({ status: 'ok', version })
