import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { ConfigurationError } from './config.ts'

/** RFC 7518 §3.2: a key for HS256 has at least the 256 bits of the hash. */
const SECRET_BYTES_MIN = 32

/** What signs tokens and what still verifies them. Kept apart from the configuration, so that it is never logged. */
export interface Secrets {
  /** The first signs; all verify. */
  readonly jwt: readonly [string, ...string[]]
}

/**
 * The token secrets: from `JWT_SECRET` (comma-separated for rotation) or, when that is not set, from a file that is
 * made at the first start and readable by its owner alone.
 *
 * @param file where to keep a secret of our own making
 * @throws ConfigurationError when a secret is too short
 */
export function readSecrets(env: Readonly<Record<string, string | undefined>>, file: string): Secrets {
  const given = env['JWT_SECRET'] || ownSecret(file)
  const [first = '', ...others] = given.split(',').map((secret) => secret.trim())
  if ([first, ...others].some((secret) => Buffer.byteLength(secret) < SECRET_BYTES_MIN)) {
    const source = env['JWT_SECRET'] ? 'JWT_SECRET' : file
    throw new ConfigurationError([
      `${source}: Expected secrets of at least ${SECRET_BYTES_MIN} bytes each, separated by commas.`,
    ])
  }
  return { jwt: [first, ...others] }
}

function ownSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const secret = randomBytes(SECRET_BYTES_MIN).toString('base64url')
  // Exclusive creation: a second process that starts at the same time must not sign with another secret.
  writeFileSync(file, `${secret}\n`, { mode: 0o600, flag: 'wx' })
  return secret
}
