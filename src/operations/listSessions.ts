import type { OwnSessions } from '../accounts/own-sessions.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'
import type { RateLimits } from '../limits/rate-limits.ts'

/** GET /v1/me/sessions */
export const listSessions =
  (ownSessions: OwnSessions, limits: RateLimits): Handler<'listSessions'> =>
  async (request) => {
    const { session } = request.identity
    limits.take('ownReads', session.accountId)
    const listed = await ownSessions.list(session)
    return {
      sessions: listed.map(({ id, label, createdAtMs, lastSeenAtMs, expiresAtMs }) => ({
        id,
        ...(label !== undefined && { label }),
        createdAt: timestamp(createdAtMs),
        ...(lastSeenAtMs && { lastSeenAt: timestamp(lastSeenAtMs) }),
        expiresAt: timestamp(expiresAtMs),
        current: id === session.id,
      })),
    }
  }
