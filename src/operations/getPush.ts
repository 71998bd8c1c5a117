import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Subscriptions } from '../push/subscriptions.ts'

/** GET /v1/push */
export const getPush =
  ({ publicKey }: Pick<Subscriptions, 'publicKey'>, limits: RateLimits): Handler<'getPush'> =>
  async (request) => {
    limits.take('ownReads', request.account.accountId)
    return publicKey === undefined ? { enabled: false } : { enabled: true, publicKey }
  }
