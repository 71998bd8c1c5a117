import type { Accounts } from '../accounts/accounts.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { Presence } from '../inbox/presence.ts'
import { Problem } from '../problems.ts'

/** GET /v1/users/{username} */
export const getUser =
  (accounts: Accounts, inbox: Inbox, presence: Presence): Handler<'getUser'> =>
  async (request) => {
    const username = request.params.username.toLowerCase()
    // When somebody was last seen may still be on its way to the store.
    await inbox.flushed()
    const account = await accounts.find(username)

    if (!account) throw new Problem('user_not_found', `There is nobody by the name of ${username}.`)
    const { online, lastSeenAtMs } = await presence.of(username, account.lastSeenAtMs)
    return {
      username,
      displayName: account.displayName,
      online,
      ...(lastSeenAtMs && { lastSeenAt: timestamp(lastSeenAtMs) }),
    }
  }
