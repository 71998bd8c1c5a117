/** A setting: its variable, its default, and how its text is parsed. */
export interface Variable<T> {
  name: string
  defaultText: string
  /** Completes "Expected …, got …". */
  expected: string
  /** Hides the secrets in a text. Without it, the whole text may be shown. */
  redact?: (text: string) => string
  /** Returns undefined for an invalid text. */
  parse: (text: string) => T | undefined
  /** For an invalid text: a sentence that says what to write instead. */
  hint?: (text: string) => string | undefined
}

const SECOND_MS = 1_000
const DAY_MS = 86_400_000
const UNIT_MS: Record<string, number> = { ms: 1, s: SECOND_MS, m: 60_000, h: 3_600_000, d: DAY_MS }

export const integer = (name: string, defaultText: number, min: number, max: number): Variable<number> => ({
  name,
  defaultText: String(defaultText),
  expected: `a whole number from ${min} to ${max}`,
  parse: (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= min && number <= max ? number : undefined
  },
})

/** Ten years, so dates stay far below the year 9999, where RFC 3339 ends. */
const DAYS_MAX = 3_650

/**
 * A duration in ms, written `10s`, `24h`, `7d`. The unit is required, because programs differ in their
 * default unit. Only 0 needs none.
 */
export const duration = (
  name: string,
  defaultText: string,
  minMs: number,
  never?: 'never',
): Variable<number> => ({
  name,
  defaultText,
  expected:
    'a duration such as 10s, 30m, 24h or 7d, ' +
    (minMs > 0 ? `from ${minMs / SECOND_MS}s to ${DAYS_MAX}d` : `of at most ${DAYS_MAX}d`) +
    (never ? ', or "never"' : ''),
  parse: (value) => {
    if (never && value === never) return Number.POSITIVE_INFINITY
    const [, amount, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value === '0' ? '0s' : value) ?? []
    const lengthMs = Number(amount) * (UNIT_MS[unit] ?? Number.NaN)
    return lengthMs >= minMs && lengthMs <= DAYS_MAX * DAY_MS ? lengthMs : undefined
  },
  hint: (value) =>
    /^0*[1-9]\d*$/.test(value)
      ? `The unit is missing: write ${value}s for seconds, or ${value}m, ${value}h, ${value}d.`
      : undefined,
})

const UNIT_BYTES: Record<string, number> = { kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 }

/** A size in bytes, written `64MiB` or `500000`. */
export const size = (name: string, defaultText: string, min: number): Variable<number> => ({
  name,
  defaultText,
  expected: `a size such as 64KiB, 64MiB, 1GiB or a number of bytes, ${min > 0 ? `at least ${min}` : 'or 0'}`,
  parse: (value) => {
    const [, amount, unit] = /^(\d{1,15})([KMGT]iB)?$/i.exec(value) ?? []
    const bytes = Number(amount) * (unit ? (UNIT_BYTES[unit.toLowerCase()] ?? Number.NaN) : 1)
    return bytes >= min && Number.isSafeInteger(bytes) ? bytes : undefined
  },
  hint: (value) => {
    const [, amount, unit] = /^(\d+)\s*([kmgt])b?$/i.exec(value) ?? []
    return unit && `Write ${amount}${unit.toUpperCase()}iB.`
  },
})

export const choice = <const Choices extends readonly string[]>(
  name: string,
  defaultText: Choices[number],
  choices: Choices,
): Variable<Choices[number]> => ({
  name,
  defaultText,
  expected: `one of ${choices.join(', ')}`,
  parse: (value) => choices.find((option) => option === value),
})
