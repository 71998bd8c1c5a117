import { randomBytes } from 'node:crypto'
import { closeSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError, databaseFile, mistakesInSecrets, splitSecrets } from './config.ts'
import {
  checkPrivateFile,
  isOpenToOthers,
  makePrivateFile,
  readPrivateFile,
  UnsafeFile,
} from './private-files.ts'
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
 * @param warn called with a sentence when others could read the file
 * @throws ConfigurationError when a secret is too short
 * @throws UnsafeFile when somebody else may have prepared the file
 */
export function readSecrets(
  env: Readonly<Record<string, string | undefined>>,
  file: string,
  warn: (message: string) => void,
): Secrets {
  const given = env['JWT_SECRET'] || ownSecret(file, warn)
  const mistakes = mistakesInSecrets(env['JWT_SECRET'] ? 'JWT_SECRET' : file, given)
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
  const [first = '', ...others] = splitSecrets(given)
  return { jwt: [first, ...others] }
}

function ownSecret(file: string, warn: (message: string) => void): string {
  const known = readPrivateFile(file, (closed) =>
    warn(
      closed
        ? `Others could read ${file}, which signs tokens. If anybody did, remove it and start again.`
        : `Others may read ${file}, which signs tokens, and it belongs to another user. Close it to them.`,
    ),
  )
  if (known !== undefined) return known.trim()
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  // Whole or not at all: half a secret, left by a full disk, would be in the way of every later start.
  const draft = `${file}.draft`
  removeLeftover(draft)
  const made = makePrivateFile(draft)
  try {
    writeFileSync(made, `${secret}\n`, { flush: true })
  } finally {
    closeSync(made)
  }
  renameSync(draft, file)
  syncToDisk(dirname(file))
  return secret
}

/** A start that was killed may have left its draft. */
function removeLeftover(draft: string) {
  if (!checkPrivateFile(draft)) return
  if (isOpenToOthers(draft))
    throw new UnsafeFile(`${draft} is open to others. Somebody else may have prepared it. Remove it.`)
  rmSync(draft)
}
