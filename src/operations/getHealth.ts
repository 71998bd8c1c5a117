import type { Handler } from '../contract/handler.ts'

/** GET /healthz: liveness only. It ignores the database: restarting this process would not fix it. */
export const getHealth =
  (version: string): Handler<'getHealth'> =>
  async () => ({ status: 'ok', version })
