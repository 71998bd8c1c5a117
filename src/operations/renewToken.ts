import type { Sessions } from '../accounts/sessions.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** POST /v1/token: the old token stays valid until it expires, so a lost response locks nobody out. */
export const renewToken =
  (sessions: Sessions, limits: RateLimits): Handler<'renewToken'> =>
  async (request) => {
    const { session } = request.identity
    limits.take('renewals', session.accountId)

    const { token, expiresAtMs } = await sessions.renew(session)

    return { token, tokenType: 'Bearer', expiresAt: timestamp(expiresAtMs) }
  }
