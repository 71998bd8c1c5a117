import { isIP } from 'node:net'

/** A mistake, or several, in the environment variables: the start stops with one sentence for each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}

interface Variable<T> {
  name: string
  initial: string
  /** Completes "Expected …, got …". */
  expected: string
  /** Not to be repeated in a message. */
  secret?: boolean
  /** Undefined when the text is not of the expected form. */
  parse: (text: string) => T | undefined
}

const SECOND_MS = 1_000
const DAY_MS = 86_400_000
const UNIT_MS: Record<string, number> = { ms: 1, s: SECOND_MS, m: 60_000, h: 3_600_000, d: DAY_MS }

const text = (name: string, initial: string, expected: string, pattern: RegExp): Variable<string> => ({
  name,
  initial,
  expected,
  parse: (value) => (pattern.test(value) ? value : undefined),
})

const integer = (name: string, initial: number, min: number, max: number): Variable<number> => ({
  name,
  initial: String(initial),
  expected: `a whole number from ${min} to ${max}`,
  parse: (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= min && number <= max ? number : undefined
  },
})

/** Ten years, so that no date comes near the year 9999, with which RFC 3339 ends. */
const DAYS_MAX = 3_650

/** A length of time in ms, written `10s`, `24h`, `7d`; a bare number counts seconds. */
const duration = (name: string, initial: string, minMs: number, never?: 'never'): Variable<number> => ({
  name,
  initial,
  expected:
    'a duration such as 10s, 30m, 24h or 7d, ' +
    (minMs > 0 ? `from ${minMs / SECOND_MS}s to ${DAYS_MAX}d` : `of at most ${DAYS_MAX}d`) +
    (never ? ', or "never"' : ''),
  parse: (value) => {
    if (never && value === never) return Number.POSITIVE_INFINITY
    const [, amount, unit = 's'] = /^(\d{1,9})(ms|s|m|h|d)?$/.exec(value) ?? []
    const lengthMs = Number(amount) * (UNIT_MS[unit] ?? Number.NaN)
    return lengthMs >= minMs && lengthMs <= DAYS_MAX * DAY_MS ? lengthMs : undefined
  },
})

const UNIT_BYTES: Record<string, number> = { kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 }

/** A number of bytes, written `64MiB` or `500000`. */
const size = (name: string, initial: string, min: number): Variable<number> => ({
  name,
  initial,
  expected: `a size such as 64KiB, 64MiB, 1GiB or a number of bytes, ${min > 0 ? `at least ${min}` : 'or 0'}`,
  parse: (value) => {
    const [, amount, unit] = /^(\d{1,15})([KMGT]iB)?$/i.exec(value) ?? []
    const bytes = Number(amount) * (unit ? (UNIT_BYTES[unit.toLowerCase()] ?? Number.NaN) : 1)
    return bytes >= min && Number.isSafeInteger(bytes) ? bytes : undefined
  },
})

const choice = <const Choices extends readonly string[]>(
  name: string,
  initial: Choices[number],
  choices: Choices,
): Variable<Choices[number]> => ({
  name,
  initial,
  expected: `one of ${choices.join(', ')}`,
  parse: (value) => choices.find((option) => option === value),
})

/** Whose `X-Forwarded-For` is believed: nobody's, or that of proxies at these addresses. */
const trustProxy: Variable<false | string> = {
  name: 'TRUST_PROXY',
  initial: 'off',
  expected: 'off, or a comma-separated list of addresses and networks such as loopback,10.0.0.0/8',
  parse: (value) => {
    if (value === 'off') return false
    return value.split(',').every(isAddressOrNetwork) ? value : undefined
  },
}

function isAddressOrNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  // No network is everybody: then anybody's header would be believed.
  const [address = '', bits = '1', ...rest] = text.split('/')
  const bitsMax = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= bitsMax
}

const corsOrigin: Variable<string[]> = {
  name: 'CORS_ORIGIN',
  initial: 'off',
  expected: 'off, *, or a comma-separated list of origins such as https://chat.example',
  parse: (value) => {
    if (value === 'off') return []
    const origins = value.split(',').map((origin) => origin.trim())
    return origins.every((origin) => /^(\*|https?:\/\/[^/\s]+)$/.test(origin)) ? origins : undefined
  },
}

/** Of PostgreSQL it has the password in it. */
const databaseUrl: Variable<string> = {
  name: 'DATABASE_URL',
  initial: 'file:./data/restante.db',
  expected: 'file: followed by a path, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
  secret: true,
  parse: (value) => {
    const isUrl = isPostgres(value) && URL.canParse(value) && new URL(value).pathname.length > 1
    return isUrl || /^file:[^?]+$/.test(value) ? value : undefined
  },
}

const variables = {
  host: text('HOST', '127.0.0.1', 'a host name or address to listen on', /^[\w.:-]+$/),
  port: integer('PORT', 3000, 0, 65_535),
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
  logLevel: choice('LOG_LEVEL', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
}

/** How this server runs. The secrets for tokens are elsewhere (`secrets.ts`). */
export type Config = { readonly [Key in keyof typeof variables]: Parsed<(typeof variables)[Key]> }
type Parsed<V> = V extends Variable<infer T> ? T : never

/**
 * Reads the configuration from environment variables; a variable that is empty counts as not set.
 *
 * @throws ConfigurationError naming every mistake at once
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const mistakes: string[] = []
  const config = Object.entries<Variable<unknown>>(variables).map(([key, variable]) => {
    const { name, initial, expected, secret, parse } = variable
    const value = parse(env[name] || initial)
    const got = secret ? '' : `, got ${JSON.stringify(env[name])}`
    if (value === undefined) mistakes.push(`${name}: Expected ${expected}${got}.`)
    return [key, value]
  })
  if (env['JWT_SECRET']) mistakes.push(...mistakesInSecrets('JWT_SECRET', env['JWT_SECRET']))
  else if (isPostgres(env['DATABASE_URL'] ?? ''))
    mistakes.push('JWT_SECRET: Expected a secret that all nodes of this database have in common, got none.')
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
  return Object.freeze(Object.fromEntries(config)) as Config
}

/** A character outside the basic plane, in UTF-8. */
const CHARACTER_BYTES_MAX = 4

/** What the server can do, and is hardly meant: one sentence each. */
export function doubtsAbout(config: Config): string[] {
  const { host, inboxBytes, messageLengthMax, registration, sessionMaxMs, tokenTtlMs } = config
  const messageBytesMax = messageLengthMax * CHARACTER_BYTES_MAX
  const smallInbox =
    `INBOX_BYTES: ${inboxBytes} bytes are less than the longest message has (${messageBytesMax}), ` +
    'so an inbox takes such a message only while it is empty.'
  const anybody =
    `REGISTRATION: It is open on ${host}, so anybody who reaches this server can make an account. ` +
    'With "invite" only those can whom you invite.'
  return [
    ...(registration === 'open' && !isLoopback(host) ? [anybody] : []),
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
 * @param source where the text is from
 */
export const mistakesInSecrets = (source: string, text: string) =>
  splitSecrets(text).some((secret) => Buffer.byteLength(secret) < SECRET_BYTES_MIN)
    ? [`${source}: Expected secrets of at least ${SECRET_BYTES_MIN} bytes each, separated by commas.`]
    : []

export const isPostgres = (databaseUrl: string) => /^postgres(ql)?:\/\//.test(databaseUrl)

/** The path of the SQLite file that a `file:` URL names. */
export const databaseFile = (databaseUrl: string) => databaseUrl.slice('file:'.length)
