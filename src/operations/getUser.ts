import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Waiters } from '../inbox/waiters.ts'
import { Problem } from '../problems.ts'

/** GET /v1/users/{username} */
export const getUser =
  (accounts: Accounts, inbox: Inbox, waiters: Waiters): Handler<'getUser'> =>
  async (request) => {
    const username = request.params.username.toLowerCase()
    // When somebody was last seen may still be on its way to the store.
    await inbox.settled()
    const account = await accounts.find(username)

    if (!account) throw new Problem('user_not_found', `There is nobody by the name of ${username}.`)
    const online = waiters.isOnline(username)
    const lastSeenAtMs = Math.max(waiters.lastSeenAtMs(username) ?? 0, account.lastSeenAtMs ?? 0)
    return {
      username,
      displayName: account.displayName,
      online,
      ...(lastSeenAtMs > 0 && { lastSeenAt: new Date(lastSeenAtMs).toISOString() }),
    }
  }
