import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import type { AccountLimits } from '../limits/account-limits.ts'
import { addressOf } from '../limits/address.ts'
import { connectionOf } from './client-connection.ts'

/** POST /v1/me/delete */
export const deleteAccount =
  (accounts: Accounts, limits: AccountLimits): Handler<'deleteAccount'> =>
  async (request, reply) => {
    const { session } = request.identity
    const { password } = request.body
    const caller = { client: connectionOf(request, reply), address: addressOf(request), trusted: true }
    await limits.confirm(session, () => accounts.delete(session, password, caller))

    reply.code(204)
  }
