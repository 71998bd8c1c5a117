import type { Accounts } from '../accounts/accounts.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'
import { showMe } from './getMe.ts'

/** PATCH /v1/me */
export const updateMe =
  (accounts: Accounts, limits: RateLimits): Handler<'updateMe'> =>
  async (request) => {
    const { session } = request.identity
    limits.take('ownChanges', session.accountId)
    const { displayName, presence } = request.body
    await accounts.update(session, { displayName, hidesPresence: presence && presence === 'nobody' })
    return showMe(accounts, session)
  }
