import type { Accounts } from '../accounts/accounts.ts'
import type { Blocks } from '../accounts/blocks.ts'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import type { Presence } from '../presence.ts'
import { userNotFound } from '../problems.ts'

/** GET /v1/users/{username} */
export const getUser =
  (
    accounts: Accounts,
    blocks: Blocks,
    inbox: Inbox,
    presence: Presence,
    limits: RateLimits,
  ): Handler<'getUser'> =>
  async (request) => {
    limits.take('lookups', request.identity.session.accountId)
    const username = toUsername(request.params.username)
    // Read memory before the store, since the date may be written meanwhile.
    const beforeMs = inbox.lastSeenAtMs(username)
    const account = await accounts.find(username)

    if (!account) throw userNotFound(username)
    const { displayName, hidesPresence } = account
    if (hidesPresence || (await blocks.has(account.id, request.identity.session.accountId)))
      return { username, displayName }
    const knownMs = Math.max(beforeMs, inbox.lastSeenAtMs(username), account.lastSeenAtMs ?? 0)
    const { online, lastSeenAtMs } = await presence.of(username, knownMs)
    return {
      username,
      displayName,
      online,
      ...(lastSeenAtMs && { lastSeenAt: timestamp(lastSeenAtMs) }),
    }
  }
