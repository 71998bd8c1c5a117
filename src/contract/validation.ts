import { Ajv2020, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem } from '../problems.ts'
import type { Contract, Schema } from './document.ts'
import { type FieldError, fieldErrors } from './field-errors.ts'
import type { OperationId } from './handler.ts'

/** The beginning of the pointers in `errors` for inputs other than the body. */
const POINTER_PREFIX: Record<string, string> = {
  querystring: '/query',
  params: '/path',
  headers: '/headers',
}

const OPTIONS: Options = {
  useDefaults: true,
  allowUnionTypes: true,
  // The linter checks the schemas, so a start need not: 90 ms.
  meta: false,
  validateSchema: false,
  // Keywords of OpenAPI and openapi.yaml that JSON Schema does not have.
  keywords: ['example', 'x-rule', 'x-extensible-enum'],
  formats: {
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
    'date-time': true,
    int64: true,
  },
}

/** No U+0000 and no lone surrogate. Not in the contract, because it needs the `u` flag. */
const WELL_FORMED = '^[^\\u0000\\p{Cs}]*$'

/** By options and schema: tests start many servers in a process, which need not compile them again. */
const compilers = new Map<string, { ajv: Ajv2020; compiled: Map<string, ValidateFunction> }>()

function compile(schema: Schema, options: Options): ValidateFunction {
  const [optionsKey, key] = [JSON.stringify(options), JSON.stringify(schema)]
  const { ajv, compiled } = compilers.get(optionsKey) ?? { ajv: new Ajv2020(options), compiled: new Map() }
  compilers.set(optionsKey, { ajv, compiled })
  const validate = compiled.get(key) ?? ajv.compile(schema)
  compiled.set(key, validate)
  return validate
}

/** Compiles the contract's schemas for Fastify, each at its first use: all at the start would take 100 ms. */
export function validatorCompiler(): FastifySchemaCompiler<Schema> {
  return ({ schema: given, httpPart = '' }) => {
    const isBody = httpPart === 'body'
    const schema = isBody ? wellFormed(given) : given
    let validate: ValidateFunction | undefined
    const readTexts = isBody ? () => {} : textReader(schema)
    const findErrors = errorFinder(schema)
    return (input: unknown) => {
      readTexts(input as Record<string, unknown>)
      validate ??= compile(schema, OPTIONS)
      return validate(input) ? { value: input } : { error: invalid(findErrors(input), httpPart) }
    }
  }
}

/**
 * Validates data from elsewhere than HTTP as the body of an operation.
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

/** Adds to a body's schema that every text without a pattern must be well-formed. */
function wellFormed(schema: Schema): Schema {
  if (schema['type'] === 'string' && !schema['pattern']) return { ...schema, pattern: WELL_FORMED }
  const { properties } = schema
  if (!properties) return schema
  const checked = Object.entries(properties).map(([name, property]) => [name, wellFormed(property)])
  return { ...schema, properties: Object.fromEntries(checked) }
}

/** Finds all errors of an input, with a slower validator that is compiled at its first use. */
function errorFinder(schema: Schema): (input: unknown) => FieldError[] {
  let validate: ValidateFunction | undefined
  return (input) => {
    validate ??= compile(schema, { ...OPTIONS, allErrors: true, verbose: true })
    return fieldErrors(validate, schema, input)
  }
}

/**
 * Converts texts in query, path and headers, such as `"7"` and `"true"`. Numbers may have digits only: Ajv's
 * own coercion also accepts `0x10`, `1e3` and `Infinity`, the last without checking its bounds.
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

/** The subject of a sentence about an error: `password`, or `The body`. */
const subjectOf = (pointer: string) => pointer.slice(1) || 'The body'

function invalid(found: FieldError[], httpPart: string): Problem {
  const sentences = found.map(({ pointer, detail }) => `${subjectOf(pointer)} ${detail}`).join('; ')
  const errors = found.map(({ pointer, detail }) =>
    httpPart === 'body'
      ? { pointer, detail }
      : { pointer: `${POINTER_PREFIX[httpPart]}${pointer}`, detail: `${subjectOf(pointer)} ${detail}` },
  )
  const detail = sentences.endsWith('?') ? sentences : `${sentences}.`
  return new Problem('invalid_request', detail, { errors })
}
