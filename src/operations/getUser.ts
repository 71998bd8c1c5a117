import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import type { Waiters } from '../inbox/waiters.ts'
import { Problem } from '../problems.ts'

/** GET /v1/users/{username} */
export const getUser =
  (accounts: Accounts, waiters: Waiters): Handler<'getUser'> =>
  async (request) => {
    const username = request.params.username.toLowerCase()
    const account = await accounts.find(username)

    if (!account) throw new Problem('user_not_found', `There is nobody by the name of ${username}.`)
    const online = waiters.isOnline(username)
    const lastSeenAtMs = waiters.lastSeenAtMs(username) ?? account.lastSeenAtMs
    return {
      username,
      displayName: account.displayName,
      online,
      ...(lastSeenAtMs !== undefined && { lastSeenAt: new Date(lastSeenAtMs).toISOString() }),
    }
  }
