import type { Blocks } from '../accounts/blocks.ts'
import { toUsername } from '../accounts/username.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** DELETE /v1/me/blocks/{username} */
export const unblock =
  (blocks: Blocks, limits: RateLimits): Handler<'unblock'> =>
  async (request, reply) => {
    const { session } = request.identity
    limits.take('blocks', session.accountId)
    await blocks.remove(session, toUsername(request.params.username))

    reply.code(204)
  }
