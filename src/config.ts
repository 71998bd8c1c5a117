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

/** Invalid settings. The start is refused, with one sentence per error. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly errors: readonly string[]

  constructor(errors: readonly string[]) {
    super(errors.join('\n'))
    this.errors = errors
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

/** The parsed settings, without the secrets (`secrets.ts`). */
export type Config = { readonly [Key in keyof typeof variables]: Parsed<(typeof variables)[Key]> }
type Parsed<V> = V extends Variable<infer T> ? T : never

const JWT_SECRET = 'JWT_SECRET'
const VAPID_KEYS = 'VAPID_KEYS'
const SECRETS = [JWT_SECRET, VAPID_KEYS]

/** The names of all settings. */
export const knownNames: readonly string[] = [...Object.values(variables).map(({ name }) => name), ...SECRETS]

export type Values = Readonly<Record<string, string | undefined>>

/** The settings as texts, from environment variables and `.env`. */
export interface Environment {
  /** Known names only. An empty text counts as not set. */
  readonly values: Values
  /** The line of `.env` for each value from there; other values are from the environment. */
  readonly lines: ReadonlyMap<string, number>
  /** Errors in `.env` itself, one sentence each. */
  readonly errors: readonly string[]
  /** Ignored names, and a `.env` that others can read, one sentence each. */
  readonly warnings: readonly string[]
}

/**
 * Parses settings from environment variables only.
 *
 * @throws ConfigurationError that lists all errors
 */
export const readConfig = (values: Values): Config =>
  configFrom({ values, lines: new Map(), errors: [], warnings: [] })

/**
 * Parses the settings.
 *
 * @throws ConfigurationError that lists all errors, and the warnings, which may name the cause
 */
export function configFrom(environment: Environment): Config {
  const { values, warnings } = environment
  const errors = [...environment.errors]
  const config = Object.entries<Variable<unknown>>(variables).map(([key, variable]) => {
    const value = variable.parse(values[variable.name] || variable.defaultText)
    if (value === undefined) errors.push(errorFor(variable, environment))
    return [key, value]
  })
  const sharesDatabase = isPostgres(values[databaseUrl.name] ?? '')
  const secrets = values[JWT_SECRET]
  if (secrets) errors.push(...secretErrors(JWT_SECRET, secrets, sourceText(JWT_SECRET, environment)))
  else if (sharesDatabase)
    errors.push(`${JWT_SECRET}: Expected a secret that all nodes of this database share, got none.`)
  errors.push(...pushErrors(environment, sharesDatabase))
  if (errors.length > 0) throw new ConfigurationError([...errors, ...warnings])
  return Object.freeze(Object.fromEntries(config)) as Config
}

/** Push needs a subject and keys: some push services refuse requests without them. */
function pushErrors(environment: Environment, sharesDatabase: boolean): string[] {
  const { values } = environment
  const isOn = values[variables.push.name] === 'on'
  const keys = values[VAPID_KEYS]
  const lacksSubject = isOn && [undefined, '', pushSubject.defaultText].includes(values[pushSubject.name])
  const noSubject = `${pushSubject.name}: Expected your contact for push services, such as mailto:you@example.org, because PUSH is on, got none.`
  const noSharedKeys = `${VAPID_KEYS}: Expected keys that all nodes of this database share, because PUSH is on, got none.`
  return [
    ...(lacksSubject ? [noSubject] : []),
    ...(keys ? vapidKeyErrors(VAPID_KEYS, keys, sourceText(VAPID_KEYS, environment)) : []),
    ...(isOn && !keys && sharesDatabase ? [noSharedKeys] : []),
  ]
}

function errorFor({ name, expected, redact, parse, hint }: Variable<unknown>, environment: Environment) {
  const text = environment.values[name] ?? ''
  const got = redact ? 'something else' : JSON.stringify(text)
  const compact = text.replaceAll(/\s/g, '')
  const valid = [compact, compact.toLowerCase()].find((form) => parse(form) !== undefined)
  const advice = hint?.(text) ?? (valid && !redact ? `Write ${valid}.` : undefined)
  return [`${name}: Expected ${expected}, got ${got}${sourceText(name, environment)}.`, advice]
    .filter((sentence) => sentence !== undefined)
    .join(' ')
}

const sourceText = (name: string, environment: Environment) => {
  const line = environment.lines.get(name)
  return line === undefined ? ' in the environment' : ` in .env, line ${line}`
}

/** A setting in force. */
export interface Setting {
  name: string
  /** The text as written, with secrets hidden. */
  value: string
  source: 'default' | 'environment' | `.env, line ${number}`
}

/** All settings with their sources, for people. Does not check them: `configFrom` does. */
export function settingsIn({ values, lines }: Environment): Setting[] {
  const sourceOf = (name: string): Setting['source'] => {
    const line = lines.get(name)
    if (line !== undefined) return `.env, line ${line}`
    return values[name] ? 'environment' : 'default'
  }
  const settings = Object.values<Variable<unknown>>(variables).map(({ name, defaultText, redact }) => {
    const text = values[name] || defaultText
    return { name, value: redact ? redact(text) : text, source: sourceOf(name) }
  })
  const secrets = SECRETS.map((name) => ({
    name,
    value: values[name] ? '***' : 'created at the first start, kept beside the database',
    source: sourceOf(name),
  }))
  return [...settings, ...secrets]
}

/** The names of the settings whose texts contain a secret. */
export function namesWithSecrets(values: Values): string[] {
  const hiding = Object.values<Variable<unknown>>(variables).filter(({ name, redact }) => {
    const text = values[name]
    return text && redact && redact(text) !== text
  })
  return [...hiding.map(({ name }) => name), ...SECRETS.filter((name) => values[name])]
}

/** UTF-8 bytes of a character outside the basic plane. */
const CHARACTER_BYTES_MAX = 4

/** Warnings about valid but doubtful settings, one sentence each. */
export function configWarnings(config: Config): string[] {
  const { host, inboxBytes, messageLengthMax, registration, sessionMaxMs, tokenTtlMs } = config
  const { push, pushAllowPrivate } = config
  const messageBytesMax = messageLengthMax * CHARACTER_BYTES_MAX
  const smallInbox =
    `INBOX_BYTES: ${inboxBytes} bytes are less than the longest message (${messageBytesMax} bytes), ` +
    'so an inbox accepts such a message only while it is empty.'
  const openRegistration =
    `REGISTRATION: It is open on ${host}, so anyone who can reach this server can register. ` +
    'With "invite", only people whom you invite can.'
  const openPrivatePush =
    'PUSH_ALLOW_PRIVATE: Anyone who can register can make this server connect to its own network.'
  return [
    ...(registration === 'open' && !isLoopback(host) ? [openRegistration] : []),
    ...(push === 'on' && pushAllowPrivate === 'on' && registration === 'open' ? [openPrivatePush] : []),
    ...(inboxBytes < messageBytesMax ? [smallInbox] : []),
    ...(sessionMaxMs < tokenTtlMs
      ? ['SESSION_MAX: It is shorter than TOKEN_TTL, so tokens end with their session.']
      : []),
  ]
}

/** Whether only this machine, including its proxies, can connect. */
const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|::1)$/i.test(host)

/** RFC 7518 §3.2: a key for HS256 has at least the 256 bits of the hash. */
const SECRET_BYTES_MIN = 32

export const splitSecrets = (text: string) => text.split(',').map((secret) => secret.trim())

/**
 * The errors in a text of secrets; they never repeat a secret.
 *
 * @param source the variable or the file of the text
 * @param place where the variable is set
 */
export const secretErrors = (source: string, text: string, place = '') =>
  splitSecrets(text).some((secret) => Buffer.byteLength(secret) < SECRET_BYTES_MIN)
    ? [
        `${source}: Expected secrets of at least ${SECRET_BYTES_MIN} bytes each, separated by commas, ` +
          `got a shorter one${place}.`,
      ]
    : []

/** The same for VAPID keys. */
export const vapidKeyErrors = (source: string, text: string, place = '') =>
  readVapidKeys(text)
    ? []
    : [
        `${source}: Expected private keys of 32 bytes each, in base64, separated by commas, ` +
          `got something else${place}.`,
      ]

/** The path of the SQLite file that a `file:` URL names. */
export const databaseFile = (databaseUrl: string) => databaseUrl.slice('file:'.length)
