import type { Blocks } from '../accounts/blocks.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** GET /v1/me/blocks */
export const listBlocks =
  (blocks: Blocks, limits: RateLimits): Handler<'listBlocks'> =>
  async (request) => {
    const { accountId } = request.identity.session
    limits.take('blocks', accountId)
    const listed = await blocks.list(accountId)
    return {
      blocks: listed.map(({ username, createdAtMs }) => ({ username, createdAt: timestamp(createdAtMs) })),
    }
  }
