import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import { Problem } from '../problems.ts'

/** GET /v1/messages/{id}: only the sender and the recipient can see a message. */
export const getMessageStatus =
  (inbox: Inbox, limits: RateLimits): Handler<'getMessageStatus'> =>
  async (request) => {
    const { accountId, username } = request.account
    limits.take('statuses', accountId)

    const message = await inbox.find(username, request.params.id)

    if (!message) throw new Problem('not_found', 'There is no such message, or it has been purged.')
    const { id, from, to, sentAtMs, state } = message
    return { id, from, to, sentAt: timestamp(sentAtMs), state }
  }
