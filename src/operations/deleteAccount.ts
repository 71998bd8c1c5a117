import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import { addressKey, type RateLimits } from '../limits/rate-limits.ts'
import { connectionOf } from './connection.ts'

/** POST /v1/me/delete */
export const deleteAccount =
  (accounts: Accounts, limits: RateLimits): Handler<'deleteAccount'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { password } = request.body
    await limits.attempt(session.username, addressKey(request.ip), () =>
      accounts.delete(session, password, connectionOf(request, reply)),
    )

    reply.code(204)
  }
