import type { Sessions } from '../accounts/sessions.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'

/** POST /v1/logout */
export const logout =
  (sessions: Sessions, inbox: Inbox): Handler<'logout'> =>
  async (request, reply) => {
    const { session } = request.identity
    // Write acknowledgements first, so the next login sees them.
    await inbox.acknowledgeOffered(session)
    await sessions.end(session)
    inbox.noteLastSeen(session.username)

    reply.code(204)
  }
