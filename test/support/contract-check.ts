import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { load } from 'js-yaml'

/** A response as a test sees it. */
export interface Answer {
  status: number
  headers: Headers
  /** Parsed where it is JSON, else the text. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects; the contract check has seen it
  body: any
}

type Part = Record<string, unknown>

const document = load(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as Part
// Redocly checks the schemas themselves, once and not in every file of tests.
const TRUSTED = { strict: false, meta: false, validateSchema: false } as const
const OPTIONS = { ...TRUSTED, formats: { uuid: true, 'date-time': true } } as const
const ajv = new Ajv2020(OPTIONS).addSchema(document, 'contract')
/** Headers are text, which the contract may call a number. */
const headerAjv = new Ajv2020({ ...OPTIONS, coerceTypes: true }).addSchema(document, 'contract')

/**
 * Holds a response against openapi.yaml: the operation may answer so, with these headers and this body. Every
 * response of the suite passes through here.
 */
export function assertInContract(method: string, path: string, answer: Answer): void {
  const where = `${method} ${path} → ${answer.status} ${JSON.stringify(answer.body)}`
  const operation = operationOf(method, path)
  // An unknown path or method is no operation; what every other operation says of it holds.
  const { responses } = (operation ?? operationOf('GET', '/v1/inbox')) as { responses: Part }
  const [response, pointer] = follow(
    responses[operation ? String(answer.status) : 'default'] ?? responses['default'],
  )
  assert.ok(response, `${where} is not in the contract`)

  for (const [name, header] of Object.entries((response['headers'] ?? {}) as Part)) {
    const [{ required, schema }] = follow(header) as [{ required?: boolean; schema: Part }, string]
    const value = answer.headers.get(name)
    const outside = name === 'Cache-Control' && !path.startsWith('/v1')
    assert.ok(value !== null || !required || outside, `${where} has no ${name}`)
    if (value === null) continue
    assert.ok(headerAjv.validate(schema, value), `${where}: ${name}: ${value} ${headerAjv.errorsText()}`)
  }

  const [[mediaType, content] = ['', undefined]] = Object.entries((response['content'] ?? {}) as Part)
  const [actualType = ''] = (answer.headers.get('content-type') ?? '').split(';')
  assert.equal(actualType, mediaType, where)
  if (!content) {
    assert.equal(answer.body, '', where)
    return
  }
  const validate = validatorOf(`${mediaType} ${pointer}`, (content as { schema: Part }).schema)
  assert.ok(validate(answer.body), `${where}: ${ajv.errorsText(validate.errors)}`)
}

const pathsOf = () => document['paths'] as Record<string, Record<string, Part>>

function operationOf(method: string, path: string): Part | undefined {
  const [pathname = ''] = path.split('?')
  const paths = Object.entries(pathsOf())
  const found = paths.find(([pattern]) =>
    new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname),
  )
  return found?.[1][method.toLowerCase()]
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
