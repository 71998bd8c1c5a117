import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { ListedSubscription } from '../database/database.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Subscriptions } from '../push/subscriptions.ts'

/** GET /v1/me/push-subscriptions */
export const listPushSubscriptions =
  (subscriptions: Subscriptions, limits: RateLimits): Handler<'listPushSubscriptions'> =>
  async (request) => {
    const { accountId } = request.account
    limits.take('ownReads', accountId)
    return { subscriptions: (await subscriptions.list(accountId)).map(subscriptionJson) }
  }

/** A push subscription as responses show it. */
export const subscriptionJson = ({ id, endpoint, createdAtMs }: ListedSubscription) => ({
  id,
  endpoint,
  createdAt: timestamp(createdAtMs),
})
