import type { Blocks } from '../accounts/blocks.ts'
import { toUsername } from '../accounts/username.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** PUT /v1/me/blocks/{username} */
export const block =
  (blocks: Blocks, limits: RateLimits): Handler<'block'> =>
  async (request, reply) => {
    const { session } = request.identity
    limits.take('blocks', session.accountId)
    await blocks.add(session, toUsername(request.params.username))

    reply.code(204)
  }
