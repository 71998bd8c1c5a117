/** Writes the settings of this server into openapi.yaml and docs/clients.md, in place of the defaults. */
import { type Config, readConfig } from '../config.ts'

/** With spaces between thousands: 10 000. */
const count = (number: number) => String(number).replaceAll(/\B(?=(\d{3})+$)/g, ' ')

const UNITS_OF_TIME: [string, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
  ['millisecond', 1],
]

/** In the largest unit without a fraction. One day is written as 24 hours. */
function duration(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  if (ms === 0) return '0 seconds'
  const fits = ([unit, length]: [string, number]) => ms % length === 0 && !(unit === 'day' && ms === length)
  const [unit, length] = UNITS_OF_TIME.find(fits) ?? ['millisecond', 1]
  return `${count(ms / length)} ${unit}${ms === length ? '' : 's'}`
}

const UNITS_OF_SIZE: [string, number][] = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
]

function size(bytes: number): string {
  const [unit, length] = UNITS_OF_SIZE.find(([, length]) => bytes > 0 && bytes % length === 0) ?? ['bytes', 1]
  return `${count(bytes / length)} ${unit}`
}

/** The settings as the texts state them, by variable name. */
const statedBy = (config: Config): [name: string, value: string][] => [
  ['MESSAGE_LENGTH_MAX', count(config.messageLengthMax)],
  ['INBOX_LIMIT', count(config.inboxLimit)],
  ['INBOX_BYTES', size(config.inboxBytes)],
  ['SENDER_LIMIT', count(config.senderLimit)],
  ['DISK_FREE_MIN', size(config.diskFreeMin)],
  ['REGISTRATION', config.registration],
  ['TOKEN_TTL', duration(config.tokenTtlMs)],
  ['SESSION_MAX', duration(config.sessionMaxMs)],
  ['SESSION_POLICY', config.sessionPolicy],
  ['PRESENCE_GRACE', duration(config.presenceGraceMs)],
  ['IDEMPOTENCY_TTL', duration(config.idempotencyTtlMs)],
  ['RETENTION', duration(config.retentionMs)],
  ['MESSAGE_TTL', duration(config.messageTtlMs)],
]

const defaults = new Map(statedBy(readConfig({})))

/** The names of the settings that the texts state. */
export const statedNames = [...defaults.keys()]

/**
 * Replaces the defaults in a text with the settings of this server. Prose states them as "24 hours
 * (`RETENTION`)" or "(24 hours, `RETENTION`)", YAML as "maxLength: 16384 # MESSAGE_LENGTH_MAX".
 */
export function withOwnLimits(text: string, config: Config): string {
  const changed = statedBy(config).filter(([name, value]) => value !== defaults.get(name))
  const prose = changed.reduce(
    (result, [name, value]) =>
      result.replaceAll(statement(name), (_, __, between) => `${value}${between}\`${name}\``),
    text,
  )
  if (!changed.some(([name]) => name === 'MESSAGE_LENGTH_MAX')) return prose
  return prose.replaceAll(
    /\d+(\D* # MESSAGE_LENGTH_MAX)$/gm,
    (_, after) => `${config.messageLengthMax}${after}`,
  )
}

/** Matches the default of a setting followed by its name, also across a line break. */
export function statement(name: string): RegExp {
  const value = (defaults.get(name) ?? '').replaceAll(' ', '\\s+')
  return new RegExp(`(?<![\\w.])(${value})(,?\\s+\\(?)\`${name}\``, 'g')
}
