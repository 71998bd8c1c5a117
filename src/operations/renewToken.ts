import type { Sessions } from '../accounts/sessions.ts'
import { timestamp } from '../clock.ts'
import type { Handler } from '../contract/handler.ts'

/** POST /v1/token: the old token stays good until it expires, so an answer that is lost locks nobody out. */
export const renewToken =
  (sessions: Sessions): Handler<'renewToken'> =>
  async (request) => {
    const { token, expiresAtMs } = await sessions.renew(request.identity.session)

    return { token, tokenType: 'Bearer', expiresAt: timestamp(expiresAtMs) }
  }
