import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError, databaseFile, mistakesInSecrets, splitSecrets } from './config.ts'
import { syncToDisk } from './sync.ts'

/** Of a secret of our own making; in base64url that makes 43 characters. */
const SECRET_BYTES = 32

/**
 * What signs tokens and what still verifies them. Kept apart from the configuration, so that it is never
 * logged.
 */
export interface Secrets {
  /** The first signs; all verify. */
  readonly jwt: readonly [string, ...string[]]
}

/** Where a secret of our own making is kept. */
export const secretFile = (databaseUrl: string) => `${databaseFile(databaseUrl)}.jwt-secret`

/**
 * The token secrets: from `JWT_SECRET` (comma-separated for rotation) or, when that is not set, from a file
 * that is made at the first start and readable by its owner alone.
 *
 * @param file where to keep a secret of our own making
 * @throws ConfigurationError when a secret is too short
 */
export function readSecrets(env: Readonly<Record<string, string | undefined>>, file: string): Secrets {
  const given = env['JWT_SECRET'] || ownSecret(file)
  const mistakes = mistakesInSecrets(env['JWT_SECRET'] ? 'JWT_SECRET' : file, given)
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
  const [first = '', ...others] = splitSecrets(given)
  return { jwt: [first, ...others] }
}

function ownSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  // Whole or not at all: half a secret, left by a full disk, would be in the way of every later start.
  const draft = `${file}.draft`
  writeFileSync(draft, `${secret}\n`, { mode: 0o600, flush: true })
  renameSync(draft, file)
  syncToDisk(dirname(file))
  return secret
}
