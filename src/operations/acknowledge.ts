import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** POST /v1/inbox/ack: answers after the commit. */
export const acknowledge =
  (inbox: Inbox, limits: RateLimits): Handler<'acknowledge'> =>
  async (request, reply) => {
    const { session } = request.identity
    limits.take('acknowledgements', session.accountId)

    await inbox.acknowledge(session, request.body.cursor)

    reply.code(204)
  }
