import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import { tokenJson } from './listTokens.ts'

/** POST /v1/me/tokens: the only response with the token itself. */
export const createToken =
  (tokens: ApplicationTokens, limits: RateLimits): Handler<'createToken'> =>
  async (request, reply) => {
    const { account } = request
    limits.take('tokens', account.accountId)
    const { name, expiresIn } = request.body

    const { token, ...issued } = await tokens.create(account, name, expiresIn && expiresIn * 1_000)

    reply.code(201)
    return { ...tokenJson(issued), token }
  }
