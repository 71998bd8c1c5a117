import type { onRequestHookHandler } from 'fastify'
import type { Identity, Sessions } from '../accounts/sessions.ts'
import { Problem } from '../problems.ts'

/** A JWT in compact form, so that nothing else is kept or verified. */
const BEARER = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i

/**
 * Finds out who shows the token of a request, before anything else of it is looked at. A session that is
 * known is found without waiting, which is why this is no async function: nearly every request takes that
 * way.
 */
export function authenticate(sessions: Sessions): onRequestHookHandler {
  return (request, _reply, done) => {
    const accept = (identity: Identity) => {
      request.identity = identity
      done()
    }
    try {
      const identity = sessions.identify(tokenOf(request.headers.authorization))
      if (identity instanceof Promise) identity.then(accept).catch(done)
      else accept(identity)
    } catch (error) {
      done(error as Error)
    }
  }
}

function tokenOf(authorization: string | undefined): string {
  const [, token] = BEARER.exec(authorization ?? '') ?? []
  if (!token) throw new Problem('invalid_token', 'Send the token as "Authorization: Bearer <token>".')
  return token
}
