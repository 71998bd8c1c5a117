import type { JWT } from '@fastify/jwt'
import type { Clock } from '../clock.ts'

/** The claims of a token: account, session, and expiry in seconds since 1970. */
export interface Claims {
  sub: string
  sid: string
  exp: number
}

export interface IssuedToken {
  token: string
  expiresAtMs: number
}

export interface Lifetimes {
  tokenTtlMs: number
  /** How long a session may last, from its login: renewing its token does not extend it. */
  sessionMaxMs: number
}

/**
 * Issuer and audience are pinned, so that a token made with the same secret for something else is refused
 * (RFC 8725 §3.8).
 */
const PARTY = 'restante'

/** How @fastify/jwt is to sign and to verify: HS256 alone (RFC 8725 §3.1). */
export const jwtOptions = (signingSecret: string) => ({
  secret: signingSecret,
  sign: { algorithm: 'HS256' as const, iss: PARTY, aud: PARTY },
  verify: {
    algorithms: ['HS256' as const],
    allowedIss: PARTY,
    allowedAud: PARTY,
    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'exp'],
  },
})

/**
 * Signs with the first secret and verifies with each, so old tokens stay valid while a secret is rotated out.
 */
export class Tokens {
  readonly #jwt: JWT
  readonly #secrets: readonly string[]
  readonly #lifetimes: Lifetimes
  readonly #clock: Clock

  constructor(jwt: JWT, secrets: readonly string[], lifetimes: Lifetimes, clock: Clock) {
    this.#jwt = jwt
    this.#secrets = secrets
    this.#lifetimes = lifetimes
    this.#clock = clock
  }

  /** @param endsAtMs when the session ends at the latest */
  issue(sub: string, sid: string, endsAtMs: number): IssuedToken {
    const nowMs = this.#clock()
    const exp = Math.floor(Math.min(nowMs + this.#lifetimes.tokenTtlMs, endsAtMs) / 1_000)
    const claims: Claims = { sub, sid, exp }
    const token = this.#jwt.sign({ ...claims, iat: Math.floor(nowMs / 1_000) })
    return { token, expiresAtMs: exp * 1_000 }
  }

  /** The latest end of a session that began then. */
  endOf(sessionCreatedAtMs: number): number {
    return sessionCreatedAtMs + this.#lifetimes.sessionMaxMs
  }

  /** The claims of a token that is ours and has not expired. */
  verify(token: string): Claims | undefined {
    for (const key of this.#secrets) {
      try {
        return readClaims(this.#jwt.verify<object | string>(token, { key, clockTimestamp: this.#clock() }))
      } catch {
        // Not with this secret. The holder of a bad token does not learn why it is bad.
      }
    }
    return undefined
  }
}

/** The form that this server issues. Anything else would be looked up in the store as it is. */
const SESSION_ID = /^[\w-]{1,64}$/

/** RFC 3339 ends with the year 9999. */
const EXP_MAX = 253_402_300_799

/** Signed with our secret, but perhaps not by us. */
function readClaims(payload: unknown): Claims | undefined {
  const { sub, sid, exp, iat } = (payload ?? {}) as Record<keyof Claims | 'iat', unknown>
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof exp !== 'number') return undefined
  if (iat !== undefined && typeof iat !== 'number') return undefined
  return SESSION_ID.test(sid) && Number.isInteger(exp) && exp > 0 && exp <= EXP_MAX
    ? { sub, sid, exp }
    : undefined
}
