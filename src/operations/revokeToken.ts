import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** DELETE /v1/me/tokens/{id} */
export const revokeToken =
  (tokens: ApplicationTokens, limits: RateLimits): Handler<'revokeToken'> =>
  async (request, reply) => {
    const { accountId } = request.account
    limits.take('tokens', accountId)
    await tokens.revoke(accountId, request.params.id.toLowerCase())

    reply.code(204)
  }
