import type { Accounts } from '../accounts/accounts.ts'
import type { Session } from '../accounts/sessions.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** GET /v1/me */
export const getMe =
  (accounts: Accounts, limits: RateLimits): Handler<'getMe'> =>
  async (request) => {
    const { session } = request.identity
    limits.take('ownReads', session.accountId)
    return showMe(accounts, session)
  }

/** The account of a session as responses show it. */
export async function showMe(accounts: Accounts, session: Session) {
  const { username, displayName, createdAtMs, hidesPresence, inbox } = await accounts.own(session)
  const createdAt = timestamp(createdAtMs)
  return { username, displayName, createdAt, presence: hidesPresence ? 'nobody' : 'everyone', inbox }
}
