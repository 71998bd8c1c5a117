import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'

/** POST /v1/inbox/ack: the answer comes after the commit. */
export const acknowledge =
  (inbox: Inbox): Handler<'acknowledge'> =>
  async (request, reply) => {
    await inbox.acknowledge(request.identity.session, request.body.cursor)

    reply.code(204)
  }
