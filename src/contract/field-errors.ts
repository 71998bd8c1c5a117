import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { closestName } from '../closest-name.ts'
import type { Schema } from './document.ts'

/** An invalid value: its JSON pointer (RFC 6901), and what it must be. */
export interface FieldError {
  pointer: string
  detail: string
}

/** How many unknown members are reported; a body of 200 kB can have 40 000 of them. */
const UNKNOWN_MAX = 10
const ERRORS_MAX = 50

/**
 * The errors of an input in sentences for people, one per pointer.
 *
 * @param validate compiled from the schema with Ajv's options `allErrors` and `verbose`
 */
export function fieldErrors(validate: ValidateFunction, schema: Schema, input: unknown): FieldError[] {
  validate(withFewUnknown(schema, input))
  const byPointer = new Map<string, FieldError>()
  for (const error of (validate.errors ?? []).slice(0, ERRORS_MAX)) {
    const pointer = pointerOf(error)
    // Only the first error per pointer: a value of a wrong type has no length.
    if (!byPointer.has(pointer)) byPointer.set(pointer, { pointer, detail: detailOf(error) })
  }
  return [...byPointer.values()]
}

/** A copy of the input with all known members and a few unknown ones. */
function withFewUnknown({ properties }: Schema, input: unknown): unknown {
  if (!properties || typeof input !== 'object' || input === null || Array.isArray(input)) return input
  const given = input as Record<string, unknown>
  const known = Object.entries(properties)
    .filter(([name]) => Object.hasOwn(given, name))
    .map(([name, property]) => [name, withFewUnknown(property, given[name])])
  const unknown: [string, unknown][] = []
  // Not Object.entries: listing all members takes longer than parsing.
  for (const name in given) {
    if (Object.hasOwn(properties, name)) continue
    unknown.push([name, given[name]])
    if (unknown.length === UNKNOWN_MAX) break
  }
  return Object.fromEntries([...known, ...unknown])
}

/** The pointer to a missing or unknown member is to the member, not to its object. */
function pointerOf({ instancePath, params }: ErrorObject): string {
  const property: unknown = params['missingProperty'] ?? params['additionalProperty']
  return typeof property === 'string'
    ? `${instancePath}/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : instancePath
}

function detailOf({ keyword, message = 'is not valid', params, parentSchema = {} }: ErrorObject): string {
  const { minLength, maxLength, minimum, maximum } = parentSchema as Record<string, number | undefined>
  switch (keyword) {
    case 'required':
      return 'is required'
    case 'additionalProperties':
      return unknownDetail(String(params['additionalProperty']), parentSchema)
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

function unknownDetail(name: string, { properties = {} }: Schema): string {
  const closest = closestName(name, Object.keys(properties))
  return closest === undefined ? 'is unknown' : `is unknown: did you mean ${closest}?`
}
