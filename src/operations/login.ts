import type { Accounts } from '../accounts/accounts.ts'
import { refuseGone } from '../accounts/passwords.ts'
import type { Sessions } from '../accounts/sessions.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import { addressKey, type RateLimits } from '../limits/rate-limits.ts'
import { connectionOf } from './connection.ts'

/** The default `limit` of readInbox: the first page of a login is like any other. */
const OFFLINE_MESSAGES_MAX = 100

/** POST /v1/login: a session, and the messages that came in the meantime. */
export const login =
  (accounts: Accounts, sessions: Sessions, inbox: Inbox, limits: RateLimits): Handler<'login'> =>
  async (request, reply) => {
    const client = connectionOf(request, reply)
    const username = request.body.username.toLowerCase()
    const { password, takeover } = request.body

    const account = await limits.attempt(username, addressKey(request.ip), () =>
      accounts.identify(username, password, client),
    )
    if (!takeover) await sessions.refuseSecond(username)
    const page = await inbox.firstPage(account.id, OFFLINE_MESSAGES_MAX, reply.raw, client)
    // It would end a newer session, and nobody would have this one.
    refuseGone(client)
    const { token, expiresAtMs } = await sessions.open(account, {
      acknowledgedSeq: page.after,
      offeredSeq: page.cursor,
    })
    inbox.see(username)

    const { messages, cursor, hasMore, gap } = page
    return {
      token,
      tokenType: 'Bearer',
      expiresAt: timestamp(expiresAtMs),
      username,
      displayName: account.displayName,
      offlineMessages: JSON.parse(`[${messages.elements}]`),
      cursor,
      hasMore,
      ...(gap && { gap }),
    }
  }
