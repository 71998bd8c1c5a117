import type { Schema } from '../../src/contract/document.ts'

/** A random source, the same for the same seed. */
export class Chance {
  readonly #random: () => number

  /** @param random from 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  /** A whole number from the first to the last. */
  integer = (first: number, last: number) => first + Math.floor(this.#random() * (last - first + 1))

  /** True once in this many times. */
  once = (times: number) => this.#random() * times < 1

  of<T>(choices: readonly [T, ...T[]]): T
  of<T>(choices: readonly T[]): T | undefined
  of<T>(choices: readonly T[]): T | undefined {
    return choices[this.integer(0, choices.length - 1)]
  }
}

/** Valid characters of a text; each counts as one. */
const CHARACTERS = [
  ...'aZ09 ._-\'"\\/<&%\n\t\u007f\u0085é\u0301\u200b\u202e\u2028\ufeff\uffff中\u{1f4ee}\u{10ffff}',
]

/** Characters that are invalid in every text of the contract. */
const BROKEN = ['\u0000', '\ud800', '\udfff', 'a\ud83da', '\udc00\ud800']

/** Values that are invalid nearly everywhere. */
const ABSURD: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, -0, 1e21, 9_007_199_254_740_992, -1e300],
  ...[
    '',
    ' ',
    '0',
    'null',
    '__proto__',
    'constructor',
    '../../etc/passwd',
    "' OR 1=1 --",
    '{{7*7}}',
    '%00',
    '\r\n',
  ],
  ...[[], [[]], {}, { a: {} }, [null], ['a', 'a'], { toString: 'a' }, { length: 3 }],
]

/** A value unrelated to any schema. */
export const absurd = (chance: Chance): unknown =>
  chance.once(4) ? chance.of(BROKEN as [string, ...string[]]) : chance.of(ABSURD)

export function text(chance: Chance, length: number): string {
  let made = ''
  for (let count = 0; count < length; count += 1) made += chance.of(CHARACTERS)
  return made
}

const LENGTH_MAX = 40

/** A value that a schema accepts; with a pattern or a format, perhaps not. */
export function valid(schema: Schema, chance: Chance): unknown {
  const { type, minimum, maximum, minLength, maxLength } = schema as {
    type?: string
    minimum?: number
    maximum?: number
    minLength?: number
    maxLength?: number
  }
  const examples = schema['examples'] as unknown[] | undefined
  if (examples && chance.once(3)) return chance.of(examples)
  const choices = schema['enum'] as unknown[] | undefined
  if (choices) return chance.of(choices)
  if (type === 'boolean') return chance.once(2)
  if (type === 'integer') {
    const first = minimum ?? 0
    return chance.integer(first, Math.min(maximum ?? first + 100, first + 100))
  }
  if (type === 'array') return []
  if (type === 'object') return {}
  const longest = Math.max(maxLength ?? LENGTH_MAX, 1)
  const length = chance.once(10) ? longest : chance.integer(minLength ?? 1, Math.min(longest, LENGTH_MAX))
  return text(chance, length)
}

/** A value just outside a schema, or of another type. */
export function almost(schema: Schema, chance: Chance): unknown {
  const { minimum, maximum, minLength, maxLength } = schema as Record<string, number | undefined>
  const outside = [
    ...(minimum === undefined ? [] : [minimum - 1]),
    ...(maximum === undefined ? [] : [maximum + 1, maximum + 0.5]),
    ...(minLength === undefined ? [] : [text(chance, Math.max(minLength - 1, 0))]),
    ...(maxLength === undefined ? [] : [text(chance, maxLength + 1)]),
  ]
  const value = valid(schema, chance)
  const otherwise = [
    String(value),
    [value],
    { value },
    `${value}\u0000`,
    null,
    ...BROKEN.map((broken) => `a${broken}`),
  ]
  return chance.of([...outside, ...outside, ...otherwise])
}
