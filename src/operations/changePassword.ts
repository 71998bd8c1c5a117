import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import type { AccountLimits } from '../limits/account-limits.ts'
import { addressOf } from '../limits/address.ts'
import { connectionOf } from './client-connection.ts'

/** PUT /v1/me/password */
export const changePassword =
  (accounts: Accounts, limits: AccountLimits): Handler<'changePassword'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { current, new: next } = request.body
    const caller = { client: connectionOf(request, reply), address: addressOf(request), trusted: true }
    await limits.confirm(session, () => accounts.changePassword(session, current, next, caller))

    reply.code(204)
  }
