import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import { addressKey, type RateLimits } from '../limits/rate-limits.ts'
import { connectionOf } from './connection.ts'

/** PUT /v1/me/password */
export const changePassword =
  (accounts: Accounts, limits: RateLimits): Handler<'changePassword'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { current, new: next } = request.body
    await limits.attempt(session.username, addressKey(request.ip), () =>
      accounts.changePassword(session, current, next, connectionOf(request, reply)),
    )

    reply.code(204)
  }
