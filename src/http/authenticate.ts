import type { FastifyRequest } from 'fastify'
import type { ApplicationTokens } from '../accounts/application-tokens.ts'
import type { Identity, Sessions } from '../accounts/sessions.ts'
import type { Authenticate } from '../contract/bind.ts'
import { addressOf } from '../limits/address.ts'
import { Problem } from '../problems.ts'

/** The form of a compact JWT. Other tokens are refused before the cache and the verification. */
const SESSION_TOKEN = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i

const APPLICATION_TOKEN = /^Bearer +(rst_\w+)$/i

/**
 * Authenticates a request before its body is read. Not async, because nearly every request finds its session
 * or token in the cache, synchronously.
 */
export const authenticate =
  (sessions: Sessions, applicationTokens: ApplicationTokens): Authenticate =>
  ({ takesApplicationTokens }) => {
    const acceptToken = (request: FastifyRequest, done: Done) => {
      const [, token] = APPLICATION_TOKEN.exec(request.headers.authorization ?? '') ?? []
      if (!token) throw new Problem('invalid_token', 'Send the token as "Authorization: Bearer <token>".')
      const accept = (account: FastifyRequest['account']) => {
        request.account = account
        done(takesApplicationTokens ? undefined : insufficientScope())
      }
      whenKnown(
        applicationTokens.identify(token, () => addressOf(request)),
        accept,
        done,
      )
    }
    return (request, _reply, done) => {
      const accept = (identity: Identity) => {
        request.identity = identity
        request.account = identity.session
        done()
      }
      try {
        const [, token] = SESSION_TOKEN.exec(request.headers.authorization ?? '') ?? []
        if (token) whenKnown(sessions.identify(token), accept, done)
        else acceptToken(request, done)
      } catch (error) {
        done(error as Error)
      }
    }
  }

type Done = (error?: Error) => void

function whenKnown<T>(value: T | Promise<T>, accept: (value: T) => void, done: Done): void {
  if (value instanceof Promise) value.then(accept).catch(done)
  else accept(value)
}

const insufficientScope = () =>
  new Problem(
    'insufficient_scope',
    'An application token can only send messages and query their state. Log in for everything else.',
  )
