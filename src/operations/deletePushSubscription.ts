import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Subscriptions } from '../push/subscriptions.ts'

/** DELETE /v1/me/push-subscriptions/{id} */
export const deletePushSubscription =
  (subscriptions: Subscriptions, limits: RateLimits): Handler<'deletePushSubscription'> =>
  async (request, reply) => {
    const { accountId } = request.account
    limits.take('ownChanges', accountId)
    await subscriptions.end(accountId, request.params.id.toLowerCase())

    reply.code(204)
  }
