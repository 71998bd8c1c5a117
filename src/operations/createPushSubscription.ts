import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Subscriptions } from '../push/subscriptions.ts'
import { subscriptionJson } from './listPushSubscriptions.ts'

/** POST /v1/me/push-subscriptions */
export const createPushSubscription =
  (subscriptions: Subscriptions, limits: RateLimits): Handler<'createPushSubscription'> =>
  async (request, reply) => {
    const { session } = request.identity
    limits.take('subscriptions', session.accountId)
    const { endpoint, keys } = request.body
    const created = await subscriptions.create(session, { endpoint, p256dh: keys.p256dh, auth: keys.auth })

    reply.code(201)
    return subscriptionJson(created)
  }
