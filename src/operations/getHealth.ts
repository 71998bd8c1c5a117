import type { Handler } from '../contract/handler.ts'

/**
 * GET /healthz: alive is who answers; the database is no concern of it, because a restart would not mend
 * that.
 */
export const getHealth = (): Handler<'getHealth'> => async () => ({ status: 'ok' })
