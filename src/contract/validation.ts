import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem } from '../problems.ts'
import type { Schema } from './document.ts'
import { nearest } from './nearest.ts'

/** Where the pointers of `errors` begin for what is not in the body. */
const POINTER_PREFIX: Record<string, string> = {
  querystring: '/query',
  params: '/path',
  headers: '/headers',
}

const OPTIONS: Options = {
  // The schema around what is unknown has the names that are known.
  verbose: true,
  useDefaults: true,
  // Whether the schemas themselves are valid is asked by the linter, and not at every start: 90 ms.
  meta: false,
  validateSchema: false,
  // OpenAPI's own words beside JSON Schema's; formats are spelt out as patterns in the contract.
  keywords: ['example'],
  formats: { uuid: true, 'date-time': true },
}

/** Compiles the contract's schemas for Fastify. */
export function validatorCompiler(): FastifySchemaCompiler<Schema> {
  const ajv = new Ajv2020(OPTIONS)
  return ({ schema, httpPart = '' }) => {
    const validate = ajv.compile(schema)
    const readTexts = httpPart === 'body' ? () => {} : textReader(schema)
    return (input: unknown) => {
      readTexts(input as Record<string, unknown>)
      return validate(input) ? { value: input } : { error: invalid(validate, httpPart) }
    }
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

function invalid({ errors }: ValidateFunction, httpPart: string): Problem {
  const [first] = errors ?? []
  if (!first) return new Problem('invalid_request', 'The request is not valid.')
  const pointer = pointerOf(first)
  if (httpPart === 'body')
    return refusal(pointer, sentence(first), `${pointer || 'The body'} ${sentence(first)}.`)
  const detail = `${pointer.slice(1)} ${sentence(first)}`
  return refusal(`${POINTER_PREFIX[httpPart]}${pointer}`, detail, `${detail}.`)
}

const refusal = (pointer: string, fault: string, detail: string) =>
  new Problem('invalid_request', detail, { errors: [{ pointer, detail: fault }] })

/** What is missing or should not be there is pointed at itself, not at the object around it. */
function pointerOf({ instancePath, params }: ErrorObject): string {
  const property: unknown = params['missingProperty'] ?? params['additionalProperty']
  return typeof property === 'string'
    ? `${instancePath}/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : instancePath
}

function sentence({ keyword, message, params, parentSchema }: ErrorObject): string {
  if (keyword === 'required') return 'is required'
  if (keyword === 'additionalProperties') {
    const meant = nearest(params['additionalProperty'], Object.keys(parentSchema?.['properties'] ?? {}))
    return meant === undefined ? 'is not known here' : `is not known here: is ${meant} meant?`
  }
  if (params['type'] === 'object') return 'must be a JSON object'
  if (keyword === 'pattern' && /Cs/.test(String(params['pattern']))) {
    return 'must be well-formed Unicode without U+0000'
  }
  return message ?? 'is not valid'
}
