import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { nearest } from '../nearest.ts'
import type { Schema } from './document.ts'

/** A fault of an input: where it is (RFC 6901), and what the value there must be. */
export interface Fault {
  pointer: string
  detail: string
}

/** How many unknown members are reported; a body of 200 kB can have 40 000 of them. */
const UNKNOWN_MAX = 10
const FAULTS_MAX = 50

/**
 * All faults of an input, one for each place, in words for people.
 *
 * @param validate of the schema, with Ajv's options `allErrors` and `verbose`
 */
export function faultsOf(validate: ValidateFunction, schema: Schema, input: unknown): Fault[] {
  validate(withFewUnknown(schema, input))
  const faults = new Map<string, Fault>()
  for (const error of (validate.errors ?? []).slice(0, FAULTS_MAX)) {
    const pointer = pointerOf(error)
    // Of two faults at one place the first is reported: a value of a wrong type has no length.
    if (!faults.has(pointer)) faults.set(pointer, { pointer, detail: wordsOf(error) })
  }
  return [...faults.values()]
}

/** A copy with all known members and a few of the others. */
function withFewUnknown({ properties }: Schema, input: unknown): unknown {
  if (!properties || typeof input !== 'object' || input === null || Array.isArray(input)) return input
  const given = input as Record<string, unknown>
  const known = Object.entries(properties)
    .filter(([name]) => Object.hasOwn(given, name))
    .map(([name, property]) => [name, withFewUnknown(property, given[name])])
  const unknown: [string, unknown][] = []
  // Without listing all members of the input, which takes longer than parsing it.
  for (const name in given) {
    if (Object.hasOwn(properties, name)) continue
    unknown.push([name, given[name]])
    if (unknown.length === UNKNOWN_MAX) break
  }
  return Object.fromEntries([...known, ...unknown])
}

/** The pointer names a missing or unknown member itself, not the object around it. */
function pointerOf({ instancePath, params }: ErrorObject): string {
  const property: unknown = params['missingProperty'] ?? params['additionalProperty']
  return typeof property === 'string'
    ? `${instancePath}/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : instancePath
}

function wordsOf({ keyword, message = 'is not valid', params, parentSchema = {} }: ErrorObject): string {
  const { minLength, maxLength, minimum, maximum } = parentSchema as Record<string, number | undefined>
  switch (keyword) {
    case 'required':
      return 'is required'
    case 'additionalProperties':
      return unknown(String(params['additionalProperty']), parentSchema)
    case 'minProperties':
      return 'must have at least one member'
    case 'minLength':
    case 'maxLength':
    case 'pattern':
      if (parentSchema['x-rule']) return String(parentSchema['x-rule'])
      if (keyword === 'pattern') return 'must be well-formed Unicode without U+0000'
      return `must be ${minLength ? `${minLength} to` : 'at most'} ${maxLength} characters`
    case 'format':
      return params['format'] === 'uuid' ? 'must be a UUID' : message
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`
    case 'minimum':
    case 'maximum':
      return `must be a whole number from ${minimum} to ${maximum}`
    case 'type':
      if (params['type'] === 'integer') return `must be a whole number from ${minimum} to ${maximum}`
      return TYPES[String(params['type'])] ?? message
    default:
      return message
  }
}

const TYPES: Record<string, string> = {
  object: 'must be a JSON object',
  array: 'must be an array',
  string: 'must be a string',
  boolean: 'must be true or false',
}

function unknown(name: string, { properties = {} }: Schema): string {
  const meant = nearest(name, Object.keys(properties))
  return meant === undefined ? 'is not known here' : `is not known here: is ${meant} meant?`
}
