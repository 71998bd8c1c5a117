import type { Accounts } from '../accounts/accounts.ts'
import type { KnownAddresses } from '../accounts/known-addresses.ts'
import { clientGone } from '../accounts/password-queue.ts'
import type { Sessions } from '../accounts/sessions.ts'
import { toUsername } from '../accounts/username.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { Inbox } from '../inbox/inbox.ts'
import type { AccountLimits } from '../limits/account-limits.ts'
import { addressOf } from '../limits/address.ts'
import { textOf } from '../message-list.ts'
import { connectionOf } from './client-connection.ts'

/** The default `limit` of readInbox: the first page of a login is like any other. */
const OFFLINE_MESSAGES_MAX = 100

/** POST /v1/login: opens a session and returns the first page of the inbox. */
export const login =
  (
    accounts: Accounts,
    sessions: Sessions,
    inbox: Inbox,
    knownAddresses: KnownAddresses,
    limits: AccountLimits,
  ): Handler<'login'> =>
  async (request, reply) => {
    const client = connectionOf(request, reply)
    const username = toUsername(request.body.username)
    const { password, takeover, label } = request.body

    const address = addressOf(request)
    const { account, toRemember } = await limits.login(
      username,
      address,
      () => knownAddresses.find(username, address),
      async ({ known, toRemember }) => {
        const caller = { client, address, trusted: known }
        return { account: await accounts.identify(username, password, caller), toRemember }
      },
    )
    if (!takeover) await sessions.refuseSecond(username)
    const page = await inbox.firstPage(account.id, OFFLINE_MESSAGES_MAX, reply.raw, client)
    // Without its client, the login would only end a newer session.
    if (!page || client.destroyed) throw clientGone()
    const opened = { acknowledgedSeq: page.after, offeredSeq: page.cursor, label }
    const issued = await sessions.open(account, opened, toRemember)
    if (!issued) throw await accounts.refusalOf(account)
    inbox.noteLastSeen(username)

    const { messages, cursor, hasMore, gap } = page
    return {
      token: issued.token,
      tokenType: 'Bearer',
      expiresAt: timestamp(issued.expiresAtMs),
      username,
      displayName: account.displayName,
      offlineMessages: JSON.parse(textOf(messages)),
      cursor,
      hasMore,
      ...(gap && { gap }),
    }
  }
