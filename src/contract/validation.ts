import { Ajv2020, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem } from '../problems.ts'
import type { Contract, Schema } from './document.ts'
import { type Fault, faultsOf } from './faults.ts'
import type { OperationId } from './handler.ts'

/** Where the pointers of `errors` begin for what is not in the body. */
const POINTER_PREFIX: Record<string, string> = {
  querystring: '/query',
  params: '/path',
  headers: '/headers',
}

const OPTIONS: Options = {
  useDefaults: true,
  allowUnionTypes: true,
  // The linter checks the schemas themselves, so a start saves 90 ms.
  meta: false,
  validateSchema: false,
  // OpenAPI's own words beside JSON Schema's, and those of openapi.yaml.
  keywords: ['example', 'x-rule', 'x-extensible-enum'],
  formats: {
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    'date-time': true,
    int64: true,
  },
}

/** No U+0000, and no half of a surrogate pair. Not in the contract: it takes the `u` flag. */
const WELL_FORMED = '^[^\\u0000\\p{Cs}]*$'

/**
 * Compiles the contract's schemas for Fastify, each at its first use: all of them would take 100 ms of a
 * start.
 */
export function validatorCompiler(): FastifySchemaCompiler<Schema> {
  const ajv = new Ajv2020(OPTIONS)
  return ({ schema: given, httpPart = '' }) => {
    const isBody = httpPart === 'body'
    const schema = isBody ? wellFormed(given) : given
    let validate: ValidateFunction | undefined
    const readTexts = isBody ? () => {} : textReader(schema)
    const find = faultFinder(schema)
    return (input: unknown) => {
      readTexts(input as Record<string, unknown>)
      validate ??= ajv.compile(schema)
      return validate(input) ? { value: input } : { error: invalid(find(input), httpPart) }
    }
  }
}

/**
 * Validates data that does not come over HTTP as the body of an operation.
 *
 * @returns a function that throws Problem invalid_request
 */
export function bodyCheck({ operations }: Contract, id: OperationId): (input: unknown) => void {
  const schema = operations.find(({ operationId }) => operationId === id)?.body as Schema
  const validate = validatorCompiler()({ schema, method: '', url: '', httpPart: 'body' })
  return (input) => {
    const { error } = validate(input) as { error?: Problem }
    if (error) throw error
  }
}

/** A body's schema in which every text without a pattern has to be well-formed. */
function wellFormed(schema: Schema): Schema {
  if (schema['type'] === 'string' && !schema['pattern']) return { ...schema, pattern: WELL_FORMED }
  const { properties } = schema
  if (!properties) return schema
  const checked = Object.entries(properties).map(([name, property]) => [name, wellFormed(property)])
  return { ...schema, properties: Object.fromEntries(checked) }
}

/** Finds all faults of an input, with a slower validator that is compiled at its first use. */
function faultFinder(schema: Schema): (input: unknown) => Fault[] {
  let validate: ValidateFunction | undefined
  return (input) => {
    validate ??= new Ajv2020({ ...OPTIONS, allErrors: true, verbose: true }).compile(schema)
    return faultsOf(validate, schema, input)
  }
}

/**
 * Query, path and headers are text, so `"7"` is a number there and `"true"` a boolean; in a JSON body they
 * are not. Digits alone: Ajv's own coercion takes `0x10`, `1e3` and `Infinity` too, and checks no bounds of
 * the last.
 */
function textReader({ properties }: Schema): (input: Record<string, unknown>) => void {
  const values = Object.entries(properties as Record<string, Schema>).flatMap(([name, { type }]) =>
    type === 'integer' || type === 'boolean' ? [{ name, type }] : [],
  )
  return (input) => {
    for (const { name, type } of values) {
      const value = input[name]
      if (typeof value !== 'string') continue
      if (type === 'integer' && /^-?\d+$/.test(value)) input[name] = Number(value)
      if (type === 'boolean' && /^(true|false)$/.test(value)) input[name] = value === 'true'
    }
  }
}

/** Names the place of a fault at the beginning of a sentence: `password`, or `The body`. */
const placeOf = (pointer: string) => pointer.slice(1) || 'The body'

function invalid(faults: Fault[], httpPart: string): Problem {
  const sentences = faults.map(({ pointer, detail }) => `${placeOf(pointer)} ${detail}`).join('; ')
  const errors = faults.map(({ pointer, detail }) =>
    httpPart === 'body'
      ? { pointer, detail }
      : { pointer: `${POINTER_PREFIX[httpPart]}${pointer}`, detail: `${placeOf(pointer)} ${detail}` },
  )
  const detail = sentences.endsWith('?') ? sentences : `${sentences}.`
  return new Problem('invalid_request', detail, { errors })
}
