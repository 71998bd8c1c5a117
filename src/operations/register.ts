import type { Accounts } from '../accounts/accounts.ts'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { AccountLimits } from '../limits/account-limits.ts'
import { addressOf } from '../limits/address.ts'
import { connectionOf } from './connection.ts'

/** POST /v1/register */
export const register =
  (accounts: Accounts, limits: AccountLimits): Handler<'register'> =>
  async (request, reply) => {
    const username = toUsername(request.body.username)
    const { password, displayName = username } = request.body
    const address = addressOf(request)
    const caller = { client: connectionOf(request, reply), address, trusted: false }
    const createdAtMs = await limits.register(address, () =>
      accounts.register({ username, password, displayName }, caller),
    )

    reply.code(201).header('Location', `/v1/users/${username}`)
    return { username, displayName, createdAt: timestamp(createdAtMs) }
  }
