import type { OwnSessions } from '../accounts/own-sessions.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** DELETE /v1/me/sessions/{id} */
export const endSession =
  (ownSessions: OwnSessions, inbox: Inbox, limits: RateLimits): Handler<'endSession'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { id } = request.params
    limits.take('ownChanges', session.accountId)
    await ownSessions.end(session, id)
    // The account was here until now, as with a logout.
    if (id === session.id) inbox.noteLastSeen(session.username)

    reply.code(204)
  }
