import { Ajv2020, type ErrorObject, type Options, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem } from '../problems.ts'
import type { Schema } from './document.ts'

/** Where each part of a request begins in the pointers of `errors`. The body's pointers are those of the body itself. */
const POINTER_PREFIX: Record<string, string> = {
  body: '',
  querystring: '/query',
  params: '/path',
  headers: '/headers',
}

const OPTIONS: Options = {
  useDefaults: true,
  // OpenAPI's own words beside JSON Schema's; formats are spelt out as patterns in the contract.
  keywords: ['example'],
  formats: { uuid: true, 'date-time': true },
}

/** Query, path and headers are text, so `"7"` is a number there; in a JSON body it is not. */
const lenient = () => new Ajv2020({ ...OPTIONS, coerceTypes: true })
const strict = () => new Ajv2020({ ...OPTIONS, coerceTypes: false })

/** Compiles the contract's schemas for Fastify: strict for bodies, coercing for what only comes as text. */
export function validatorCompiler(): FastifySchemaCompiler<Schema> {
  const [forText, forBodies] = [lenient(), strict()]
  return ({ schema, httpPart = '' }) => {
    const validate = (httpPart === 'body' ? forBodies : forText).compile(schema)
    return (input: unknown) => (validate(input) ? { value: input } : { error: invalid(validate, httpPart) })
  }
}

function invalid({ errors }: ValidateFunction, httpPart: string): Problem {
  const [first] = errors ?? []
  if (!first) return new Problem('invalid_request', 'The request is not valid.')
  const error = { pointer: `${POINTER_PREFIX[httpPart]}${pointerOf(first)}`, detail: sentence(first) }
  return new Problem('invalid_request', describe(error), { errors: [error] })
}

/** What is missing or should not be there is pointed at itself, not at the object around it. */
function pointerOf({ instancePath, params }: ErrorObject): string {
  const property: unknown = params['missingProperty'] ?? params['additionalProperty']
  return typeof property === 'string'
    ? `${instancePath}/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : instancePath
}

function sentence({ keyword, message, params }: ErrorObject): string {
  if (keyword === 'required') return 'is required'
  if (keyword === 'additionalProperties') return 'is not known here'
  if (params['type'] === 'object') return 'must be a JSON object'
  if (keyword === 'pattern' && /Cs/.test(String(params['pattern']))) {
    return 'must be well-formed Unicode without U+0000'
  }
  return message ?? 'is not valid'
}

const describe = ({ pointer, detail }: { pointer: string; detail: string }) =>
  `${pointer === '' ? 'The body' : pointer} ${detail}.`
