import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { ApplicationToken } from '../database/database.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** GET /v1/me/tokens */
export const listTokens =
  (tokens: ApplicationTokens, limits: RateLimits): Handler<'listTokens'> =>
  async (request) => {
    const { accountId } = request.account
    limits.take('tokens', accountId)
    const listed = await tokens.list(accountId)
    return { tokens: listed.map(tokenJson) }
  }

/** A token as responses show it. */
export const tokenJson = ({ id, name, createdAtMs, expiresAtMs, lastUsedAtMs }: ApplicationToken) => ({
  id,
  name,
  scope: 'send',
  createdAt: timestamp(createdAtMs),
  ...(expiresAtMs !== undefined && { expiresAt: timestamp(expiresAtMs) }),
  ...(lastUsedAtMs !== undefined && { lastUsedAt: timestamp(lastUsedAtMs) }),
})
