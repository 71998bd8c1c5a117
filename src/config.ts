import {
  corsOrigin,
  databaseUrl,
  host,
  isPostgres,
  opsPort,
  opsSocket,
  trustProxy,
} from './config/addresses.ts'
import { pushSubject, readVapidKeys } from './config/push.ts'
import { choice, duration, integer, size, type Variable } from './config/values.ts'

export { isPostgres }

/** A mistake, or several, in the environment variables: the start stops with one sentence for each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}

const SECOND_MS = 1_000

const variables = {
  host,
  port: integer('PORT', 3000, 0, 65_535),
  opsPort,
  opsSocket,
  databaseUrl,
  registration: choice('REGISTRATION', 'open', ['open', 'invite', 'closed']),
  tokenTtlMs: duration('TOKEN_TTL', '7d', SECOND_MS),
  sessionMaxMs: duration('SESSION_MAX', '90d', SECOND_MS),
  sessionPolicy: choice('SESSION_POLICY', 'single', ['single', 'multi']),
  presenceGraceMs: duration('PRESENCE_GRACE', '10s', 0),
  messageLengthMax: integer('MESSAGE_LENGTH_MAX', 16_384, 1, 1_048_576),
  inboxLimit: integer('INBOX_LIMIT', 10_000, 1, 1_000_000_000),
  inboxBytes: size('INBOX_BYTES', '64MiB', 1),
  senderLimit: integer('SENDER_LIMIT', 1_000, 1, 1_000_000_000),
  diskFreeMin: size('DISK_FREE_MIN', '256MiB', 0),
  idempotencyTtlMs: duration('IDEMPOTENCY_TTL', '24h', SECOND_MS),
  retentionMs: duration('RETENTION', '24h', 0, 'never'),
  messageTtlMs: duration('MESSAGE_TTL', 'never', SECOND_MS, 'never'),
  rateLimits: choice('RATE_LIMITS', 'on', ['on', 'off']),
  connectionsMax: integer('CONNECTIONS_MAX', 50_000, 1, 10_000_000),
  trustProxy,
  corsOrigin,
  web: choice('WEB', 'on', ['on', 'off']),
  push: choice('PUSH', 'off', ['off', 'on']),
  pushSubject,
  pushAllowPrivate: choice('PUSH_ALLOW_PRIVATE', 'off', ['off', 'on']),
  logLevel: choice('LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
}

/** How this server runs. The secrets for tokens are elsewhere (`secrets.ts`). */
export type Config = { readonly [Key in keyof typeof variables]: Parsed<(typeof variables)[Key]> }
type Parsed<V> = V extends Variable<infer T> ? T : never

const JWT_SECRET = 'JWT_SECRET'
const VAPID_KEYS = 'VAPID_KEYS'
const SECRETS = [JWT_SECRET, VAPID_KEYS]

/** The variables that Restante reads. */
export const knownNames: readonly string[] = [...Object.values(variables).map(({ name }) => name), ...SECRETS]

export type Values = Readonly<Record<string, string | undefined>>

/** The variables of a process, with those of its `.env`. */
export interface Environment {
  /** Of known names only; one that is empty counts as not set. */
  readonly values: Values
  /** The lines of `.env` that values are from; the others are from the environment. */
  readonly lines: ReadonlyMap<string, number>
  /** What is wrong with `.env` itself, one sentence each. */
  readonly mistakes: readonly string[]
  /** What is ignored, and what others can read, one sentence each. */
  readonly warnings: readonly string[]
}

/**
 * Reads the configuration from environment variables alone.
 *
 * @throws ConfigurationError naming every mistake at once
 */
export const readConfig = (values: Values): Config =>
  configFrom({ values, lines: new Map(), mistakes: [], warnings: [] })

/**
 * Reads the configuration.
 *
 * @throws ConfigurationError naming every mistake at once, and what was warned about: it may be the cause
 */
export function configFrom(environment: Environment): Config {
  const { values, warnings } = environment
  const mistakes = [...environment.mistakes]
  const config = Object.entries<Variable<unknown>>(variables).map(([key, variable]) => {
    const value = variable.parse(values[variable.name] || variable.initial)
    if (value === undefined) mistakes.push(mistakeIn(variable, environment))
    return [key, value]
  })
  const sharesDatabase = isPostgres(values[databaseUrl.name] ?? '')
  const secrets = values[JWT_SECRET]
  if (secrets) mistakes.push(...mistakesInSecrets(JWT_SECRET, secrets, placeOf(JWT_SECRET, environment)))
  else if (sharesDatabase)
    mistakes.push(
      `${JWT_SECRET}: Expected a secret that all nodes of this database have in common, got none.`,
    )
  mistakes.push(...mistakesInPush(environment, sharesDatabase))
  if (mistakes.length > 0) throw new ConfigurationError([...mistakes, ...warnings])
  return Object.freeze(Object.fromEntries(config)) as Config
}

/** Without a subject and keys nobody can be reached by push: some push services would refuse everything. */
function mistakesInPush(environment: Environment, sharesDatabase: boolean): string[] {
  const { values } = environment
  const isOn = values[variables.push.name] === 'on'
  const keys = values[VAPID_KEYS]
  const lacksSubject = isOn && [undefined, '', pushSubject.initial].includes(values[pushSubject.name])
  const subject = `${pushSubject.name}: Expected how push services reach you, such as mailto:you@example.org, because PUSH is on, got none.`
  const common = `${VAPID_KEYS}: Expected keys that all nodes of this database have in common, because PUSH is on, got none.`
  return [
    ...(lacksSubject ? [subject] : []),
    ...(keys ? mistakesInVapidKeys(VAPID_KEYS, keys, placeOf(VAPID_KEYS, environment)) : []),
    ...(isOn && !keys && sharesDatabase ? [common] : []),
  ]
}

function mistakeIn({ name, expected, shown, parse, hint }: Variable<unknown>, environment: Environment) {
  const text = environment.values[name] ?? ''
  const got = shown ? 'something else' : JSON.stringify(text)
  const compact = text.replaceAll(/\s/g, '')
  const taken = [compact, compact.toLowerCase()].find((form) => parse(form) !== undefined)
  const advice = hint?.(text) ?? (taken && !shown ? `Write ${taken}.` : undefined)
  return [`${name}: Expected ${expected}, got ${got}${placeOf(name, environment)}.`, advice]
    .filter((sentence) => sentence !== undefined)
    .join(' ')
}

const placeOf = (name: string, environment: Environment) => {
  const line = environment.lines.get(name)
  return line === undefined ? ' in the environment' : ` in .env, line ${line}`
}

/** A setting that is in force. */
export interface Setting {
  name: string
  /** As it was written, without secrets. */
  value: string
  source: 'default' | 'environment' | `.env, line ${number}`
}

/** All settings and where each is from, for people. They may be mistaken: `configFrom` tells. */
export function settingsIn({ values, lines }: Environment): Setting[] {
  const sourceOf = (name: string): Setting['source'] => {
    const line = lines.get(name)
    if (line !== undefined) return `.env, line ${line}`
    return values[name] ? 'environment' : 'default'
  }
  const settings = Object.values<Variable<unknown>>(variables).map(({ name, initial, shown }) => {
    const text = values[name] || initial
    return { name, value: shown ? shown(text) : text, source: sourceOf(name) }
  })
  const secrets = SECRETS.map((name) => ({
    name,
    value: values[name] ? '***' : 'made at the first start, kept beside the database',
    source: sourceOf(name),
  }))
  return [...settings, ...secrets]
}

/** The variables that have a secret in them. */
export function secretNames(values: Values): string[] {
  const hiding = Object.values<Variable<unknown>>(variables).filter(({ name, shown }) => {
    const text = values[name]
    return text && shown && shown(text) !== text
  })
  return [...hiding.map(({ name }) => name), ...SECRETS.filter((name) => values[name])]
}

/** A character outside the basic plane, in UTF-8. */
const CHARACTER_BYTES_MAX = 4

/** What the server can do, and is hardly meant: one sentence each. */
export function doubtsAbout(config: Config): string[] {
  const { host, inboxBytes, messageLengthMax, registration, sessionMaxMs, tokenTtlMs } = config
  const { push, pushAllowPrivate } = config
  const messageBytesMax = messageLengthMax * CHARACTER_BYTES_MAX
  const smallInbox =
    `INBOX_BYTES: ${inboxBytes} bytes are less than the longest message has (${messageBytesMax}), ` +
    'so an inbox takes such a message only while it is empty.'
  const anybody =
    `REGISTRATION: It is open on ${host}, so anybody who reaches this server can make an account. ` +
    'With "invite" only those can whom you invite.'
  const inward =
    'PUSH_ALLOW_PRIVATE: Anybody who can make an account can have this server connect to its own network.'
  return [
    ...(registration === 'open' && !isLoopback(host) ? [anybody] : []),
    ...(push === 'on' && pushAllowPrivate === 'on' && registration === 'open' ? [inward] : []),
    ...(inboxBytes < messageBytesMax ? [smallInbox] : []),
    ...(sessionMaxMs < tokenTtlMs
      ? ['SESSION_MAX: It is shorter than TOKEN_TTL, so tokens end with their session.']
      : []),
  ]
}

/** Only this machine reaches it, and what passes on to it. */
const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|::1)$/i.test(host)

/** RFC 7518 §3.2: a key for HS256 has at least the 256 bits of the hash. */
const SECRET_BYTES_MIN = 32

export const splitSecrets = (text: string) => text.split(',').map((secret) => secret.trim())

/**
 * What is wrong with the secrets in a text. The secrets themselves are no part of the configuration.
 *
 * @param source the variable or the file that the text is from
 * @param place where the variable is set
 */
export const mistakesInSecrets = (source: string, text: string, place = '') =>
  splitSecrets(text).some((secret) => Buffer.byteLength(secret) < SECRET_BYTES_MIN)
    ? [
        `${source}: Expected secrets of at least ${SECRET_BYTES_MIN} bytes each, separated by commas, ` +
          `got a shorter one${place}.`,
      ]
    : []

/** The same for the keys of push. */
export const mistakesInVapidKeys = (source: string, text: string, place = '') =>
  readVapidKeys(text)
    ? []
    : [
        `${source}: Expected private keys of 32 bytes each, in base64, separated by commas, ` +
          `got something else${place}.`,
      ]

/** The path of the SQLite file that a `file:` URL names. */
export const databaseFile = (databaseUrl: string) => databaseUrl.slice('file:'.length)
