import type { JWT } from '@fastify/jwt'
import type { Clock } from '../clock.ts'

/** What a token says: whose it is, which session it stands for, and until when, in seconds since 1970. */
export interface Claims {
  sub: string
  sid: string
  exp: number
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

/** Signs with the first secret, verifies with each: old tokens stay good while a secret is rotated out. */
export class Tokens {
  readonly #jwt: JWT
  readonly #secrets: readonly string[]
  readonly #clock: Clock

  constructor(jwt: JWT, secrets: readonly string[], clock: Clock) {
    this.#jwt = jwt
    this.#secrets = secrets
    this.#clock = clock
  }

  sign(claims: Claims): string {
    return this.#jwt.sign({ ...claims, iat: Math.floor(this.#clock() / 1_000) })
  }

  /** The claims of a token that is ours and has not expired. */
  verify(token: string): Claims | undefined {
    for (const key of this.#secrets) {
      try {
        return this.#jwt.verify<Claims>(token, { key, clockTimestamp: this.#clock() })
      } catch {
        // Not with this secret. Why not is not told to whoever holds a bad token.
      }
    }
    return undefined
  }
}
