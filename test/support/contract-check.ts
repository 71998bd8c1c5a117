import assert from 'node:assert/strict'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { contractWith } from './built.ts'
import type { ReceivedHeaders } from './http.ts'

/** A response as a test sees it. */
export interface Answer {
  status: number
  headers: ReceivedHeaders
  /** The parsed JSON, otherwise the text. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects; the contract check has seen it
  body: any
}

type Part = Record<string, unknown>

const document: Part = { ...contractWith().document }
// Redocly checks the schemas themselves, once instead of in every test file.
const TRUSTED = { strict: false, meta: false, validateSchema: false } as const
/** The server's promises about texts whose schemas are open, so that they may change within v1. */
const FORMATS = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  uri: /^urn:restante:problem:[a-z_]+$/,
  int64: true,
} as const
const HEADERS: Record<string, RegExp> = {
  'Cache-Control': /^no-store$/,
  Location: /^\/v1\/(users\/[a-z0-9][a-z0-9._-]{2,31}|messages\/[0-9a-f-]{36})$/,
  'Idempotent-Replayed': /^true$/,
  'Preference-Applied': /^wait=[0-9]{1,2}$/,
  'WWW-Authenticate': /^Bearer( |$)/,
}
/** Refusals by HTTP, not by an operation: unreadable, too slow, unknown path, unknown method. */
const WITHOUT_OPERATION: Record<number, string> = {
  400: 'invalid_request',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'invalid_request',
  431: 'invalid_request',
  503: 'overloaded',
}
const OPTIONS = { ...TRUSTED, formats: FORMATS } as const
const ajv = new Ajv2020(OPTIONS).addSchema(closed(document) as Part, 'contract')
/** Headers are text, even if the contract declares a number. */
const headerAjv = new Ajv2020({ ...OPTIONS, coerceTypes: true }).addSchema(document, 'contract')

/**
 * Responses are open for additions within v1. Those of this server contain only what is described: no other
 * members, and no other values than the listed ones.
 */
function closed(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(closed)
  if (typeof part !== 'object' || part === null) return part
  const copy: Part = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, closed(value)]))
  const known = copy['x-extensible-enum']
  return {
    ...copy,
    ...(copy['type'] === 'object' && { additionalProperties: false }),
    ...(Array.isArray(known) && { enum: known }),
  }
}

/** Statuses that only a proxy in front of the server uses. */
const OF_PROXIES = [502, 504]

/**
 * Checks a response against openapi.yaml: its status, headers and body. Every response of the suite passes
 * through here.
 */
export function assertInContract(method: string, path: string, answer: Answer): void {
  if (OF_PROXIES.includes(answer.status)) return
  const where = `${method} ${path} → ${answer.status} ${JSON.stringify(answer.body)}`
  const operation = operationOf(method, path)
  const [response, pointer] = follow((operation?.['responses'] as Part | undefined)?.[answer.status])
  if (!response) {
    assertRefusedByHttp(where, operation, answer)
    return
  }

  for (const [name, header] of Object.entries((response['headers'] ?? {}) as Part)) {
    const [{ required, schema }] = follow(header) as [{ required?: boolean; schema: Part }, string]
    const value = answer.headers.get(name)
    assert.ok(value !== null || !required, `${where} has no ${name}`)
    if (value === null) continue
    assert.ok(headerAjv.validate(schema, value), `${where}: ${name}: ${value} ${headerAjv.errorsText()}`)
    assert.match(value, HEADERS[name] ?? /./, `${where}: ${name}`)
  }

  const [[mediaType, content] = ['', undefined]] = Object.entries((response['content'] ?? {}) as Part)
  const [actualType = ''] = (answer.headers.get('content-type') ?? '').split(';')
  assert.equal(actualType, mediaType, where)
  if (!content) {
    assert.equal(answer.body, '', where)
    return
  }
  const { body } = answer
  const { code } = body
  const validate = validatorOf(`${mediaType} ${pointer}`, (content as { schema: Part }).schema)
  assert.ok(validate(body), `${where}: ${ajv.errorsText(validate.errors)}`)
  const codes = response['x-codes'] as string[] | undefined
  if (codes) assert.ok(codes.includes(code), `${where}: its x-codes are ${codes}`)
}

/** Checks a response against docs/clients.md, which lists the problems of any request. */
function assertRefusedByHttp(where: string, operation: Part | undefined, answer: Answer) {
  assert.ok(!operation || [408, 431].includes(answer.status), `${where} is not in the contract`)
  const { body } = answer
  const { code } = body
  const validate = validatorOf('problem', { $ref: '#/components/schemas/Problem' })
  assert.ok(validate(body), `${where}: ${ajv.errorsText(validate.errors)}`)
  assert.equal(code, WITHOUT_OPERATION[answer.status], where)
  assert.ok(answer.headers.get('x-request-id'), `${where} has no X-Request-Id`)
}

const patterns = Object.entries(document['paths'] as Record<string, Record<string, Part>>).map(
  ([path, operations]) => ({
    // A parameter may be empty, as in /v1/messages/: the operation refuses it.
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]*')}$`),
    operations,
  }),
)

function operationOf(method: string, path: string): Part | undefined {
  const [pathname = ''] = path.split('?')
  return patterns.find(({ pattern }) => pattern.test(pathname))?.operations[method.toLowerCase()]
}

/** Follows a reference; the second value is where it leads. */
function follow(part: unknown): [Part, string] {
  const ref = (part as Part | undefined)?.['$ref']
  if (typeof ref !== 'string') return [part as Part, '']
  const target = ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, key) => (at as Part)[key], document)
  return [target as Part, ref]
}

const validators = new Map<string, ValidateFunction>()

function validatorOf(name: string, schema: Part): ValidateFunction {
  const key = `${name} ${JSON.stringify(schema)}`
  const known = validators.get(key) ?? ajv.compile(absolute(schema))
  validators.set(key, known)
  return known
}

/** References lead into the contract. */
const absolute = (schema: Part): Part =>
  JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"contract#/'))
