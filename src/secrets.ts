import { createECDH, randomBytes } from 'node:crypto'
import { closeSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type KeyPair, readVapidKeys } from './config/push.ts'
import {
  ConfigurationError,
  databaseFile,
  mistakesInSecrets,
  mistakesInVapidKeys,
  splitSecrets,
} from './config.ts'
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

/** Where a key of our own making for push services is kept. */
export const vapidFile = (databaseUrl: string) => `${databaseFile(databaseUrl)}.vapid-keys`

/** Called with a sentence when others could read a file. */
type Warn = (message: string) => void

type Values = Readonly<Record<string, string | undefined>>

/** A secret that is in a variable or, when that is not set, in a file. */
interface Kept {
  variable: string
  /** Completes a sentence about the file. */
  use: string
  make: () => string
  mistakesIn: (source: string, text: string) => string[]
}

const jwtSecret: Kept = {
  variable: 'JWT_SECRET',
  use: 'signs tokens',
  make: () => randomBytes(SECRET_BYTES).toString('base64url'),
  mistakesIn: mistakesInSecrets,
}

const vapidKeys: Kept = {
  variable: 'VAPID_KEYS',
  use: 'signs what goes to push services',
  make: () => {
    const curve = createECDH('prime256v1')
    curve.generateKeys()
    const privateKey = curve.getPrivateKey()
    return Buffer.concat([Buffer.alloc(SECRET_BYTES - privateKey.length), privateKey]).toString('base64url')
  },
  mistakesIn: mistakesInVapidKeys,
}

/**
 * The token secrets: from `JWT_SECRET` (comma-separated for rotation) or, when that is not set, from a file
 * that is made at the first start and readable by its owner alone.
 *
 * @param file where to keep a secret of our own making
 * @throws ConfigurationError when a secret is too short
 * @throws UnsafeFile when somebody else may have prepared the file
 */
export function readSecrets(env: Values, file: string, warn: Warn): Secrets {
  const [first = '', ...others] = splitSecrets(readKept(jwtSecret, env, file, warn))
  return { jwt: [first, ...others] }
}

/**
 * The key pairs by which push services know this server, the same way: from `VAPID_KEYS`, or from a file.
 *
 * @returns the first is for new subscriptions
 * @throws ConfigurationError when one is no private key
 * @throws UnsafeFile when somebody else may have prepared the file
 */
export function readKeyPairs(env: Values, file: string, warn: Warn): readonly [KeyPair, ...KeyPair[]] {
  const pairs = readVapidKeys(readKept(vapidKeys, env, file, warn))
  if (!pairs) throw new ConfigurationError([`${file} has no keys.`])
  return pairs
}

function readKept(kept: Kept, env: Values, file: string, warn: Warn): string {
  const { variable, mistakesIn } = kept
  const given = env[variable] || ownSecret(kept, file, warn)
  const mistakes = mistakesIn(env[variable] ? variable : file, given)
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
  return given
}

function ownSecret({ use, make }: Kept, file: string, warn: Warn): string {
  const known = readPrivateFile(file, (closed) =>
    warn(
      closed
        ? `Others could read ${file}, which ${use}. If anybody did, remove it and start again.`
        : `Others may read ${file}, which ${use}, and it belongs to another user. Close it to them.`,
    ),
  )
  if (known !== undefined) return known.trim()
  const secret = make()
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
