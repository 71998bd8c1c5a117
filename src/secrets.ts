import { createECDH, randomBytes } from 'node:crypto'
import { closeSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type KeyPair, readVapidKeys } from './config/push.ts'
import { ConfigurationError, databaseFile, secretErrors, splitSecrets, vapidKeyErrors } from './config.ts'
import {
  checkPrivateFile,
  isOpenToOthers,
  makePrivateFile,
  readPrivateFile,
  UnsafeFile,
} from './private-files.ts'
import { syncToDisk } from './sync-to-disk.ts'

/** The length of a generated secret; 43 characters in base64url. */
const SECRET_BYTES = 32

/**
 * The secrets that sign and verify tokens. They are not part of `Config`, so they are never logged.
 */
export interface Secrets {
  /** The first signs; all verify. */
  readonly jwt: readonly [string, ...string[]]
}

/** The file of the generated token secret. */
export const secretFile = (databaseUrl: string) => `${databaseFile(databaseUrl)}.jwt-secret`

/** The file of the generated VAPID key. */
export const vapidFile = (databaseUrl: string) => `${databaseFile(databaseUrl)}.vapid-keys`

/** Called when other users could read a file. */
type Warn = (message: string) => void

type Values = Readonly<Record<string, string | undefined>>

/** A secret from a variable or, when that is not set, from a file. */
interface SecretSource {
  variable: string
  /** Completes "the file, which …". */
  use: string
  generate: () => string
  errorsIn: (source: string, text: string) => string[]
}

const jwtSecret: SecretSource = {
  variable: 'JWT_SECRET',
  use: 'signs tokens',
  generate: () => randomBytes(SECRET_BYTES).toString('base64url'),
  errorsIn: secretErrors,
}

const vapidKeys: SecretSource = {
  variable: 'VAPID_KEYS',
  use: 'signs requests to push services',
  generate: () => {
    const curve = createECDH('prime256v1')
    curve.generateKeys()
    const privateKey = curve.getPrivateKey()
    return Buffer.concat([Buffer.alloc(SECRET_BYTES - privateKey.length), privateKey]).toString('base64url')
  },
  errorsIn: vapidKeyErrors,
}

/**
 * Reads the token secrets from `JWT_SECRET` (comma-separated for rotation) or, when that is not set, from a
 * file that the first start creates and only its owner can read.
 *
 * @param file the file of the generated secret
 * @throws ConfigurationError when a secret is too short
 * @throws UnsafeFile when another user may have created the file
 */
export function readSecrets(env: Values, file: string, warn: Warn): Secrets {
  const [first = '', ...others] = splitSecrets(readSecretText(jwtSecret, env, file, warn))
  return { jwt: [first, ...others] }
}

/**
 * Reads the VAPID key pairs the same way, from `VAPID_KEYS` or a file.
 *
 * @returns the first is for new subscriptions
 * @throws ConfigurationError when one is no private key
 * @throws UnsafeFile when another user may have created the file
 */
export function readKeyPairs(env: Values, file: string, warn: Warn): readonly [KeyPair, ...KeyPair[]] {
  const pairs = readVapidKeys(readSecretText(vapidKeys, env, file, warn))
  if (!pairs) throw new ConfigurationError([`${file} contains no keys.`])
  return pairs
}

function readSecretText(source: SecretSource, env: Values, file: string, warn: Warn): string {
  const { variable, errorsIn } = source
  const text = env[variable] || generatedSecret(source, file, warn)
  const errors = errorsIn(env[variable] ? variable : file, text)
  if (errors.length > 0) throw new ConfigurationError(errors)
  return text
}

/** Reads the generated secret, or generates it. */
function generatedSecret({ use, generate }: SecretSource, file: string, warn: Warn): string {
  const known = readPrivateFile(file, (isClosed) =>
    warn(
      isClosed
        ? `Other users could read ${file}, which ${use}. If one did, remove the file and restart.`
        : `Other users can read ${file}, which ${use}. It belongs to another user, so close it yourself.`,
    ),
  )
  if (known !== undefined) return known.trim()
  const secret = generate()
  // Write to a draft and rename it: half a secret, left by a full disk, would block every later start.
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

/** A killed start may have left its draft. */
function removeLeftover(draft: string) {
  if (!checkPrivateFile(draft)) return
  if (isOpenToOthers(draft))
    throw new UnsafeFile(`Other users can write to ${draft}, so one may have created it. Remove it.`)
  rmSync(draft)
}
