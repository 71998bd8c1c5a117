import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { type Config, readConfig } from '../config.ts'
import { withOwnLimits } from './stated-limits.ts'

/** A JSON Schema. */
export type Schema = Record<string, unknown> & { properties?: Record<string, Schema> }

interface Parameter {
  name: string
  in: 'query' | 'path' | 'header'
  required?: boolean
  schema: Schema
}

interface Response {
  content?: Record<string, { schema: Schema }>
}

/** An operation of the contract, with every `$ref` resolved. */
export interface Operation {
  operationId: string
  method: string
  /** The method, and `HEAD` if it is a safe `GET` (RFC 9110 §9.3.2). */
  methods: string[]
  /** Such as `/v1/users/{username}`. */
  path: string
  authenticated: boolean
  /** Whether application tokens are accepted. */
  takesApplicationTokens: boolean
  parameters: Parameter[]
  /** The schema of the body, if there is one. */
  body: Schema | undefined
  /** Whether the body is plain text instead of JSON. */
  takesText: boolean
  responses: Record<string, Response>
}

/** openapi.yaml and docs/clients.md as served, and the operations. */
export interface Contract {
  text: string
  manual: string
  document: OpenApiDocument
  operations: Operation[]
}

interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string }
  security: Record<string, string[]>[]
  paths: Record<string, Record<string, OpenApiOperation>>
}

interface OpenApiOperation {
  operationId: string
  security?: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { content: Partial<Record<'application/json' | 'text/plain', { schema: Schema }>> }
  responses: Record<string, Response>
}

/** src/contract/, dist/contract/ and dist/bundle/ lie equally deep below the package's root. */
const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

/**
 * Reads openapi.yaml, the only description of requests and responses.
 *
 * @param config its values replace the defaults in the text
 */
export function readContract(config: Config = readConfig({})): Contract {
  const text = withOwnLimits(read('openapi.yaml'), config)
  // Parsing the YAML takes a sixth of a start, so the build has done it for the defaults.
  const built = JSON.parse(read('dist/openapi.json')) as { text: string; document: OpenApiDocument }
  const document = text === built.text ? built.document : (load(text) as OpenApiDocument)
  const { paths, security } = withoutRefs(document) as OpenApiDocument

  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const schemes = (operation.security ?? security).flatMap((scheme) => Object.keys(scheme))
      const { 'application/json': json, 'text/plain': text } = operation.requestBody?.content ?? {}
      return {
        operationId: operation.operationId,
        method: method.toUpperCase(),
        methods: methodsOf(method.toUpperCase(), operation.operationId),
        path,
        authenticated: schemes.length > 0,
        takesApplicationTokens: schemes.includes('applicationToken'),
        parameters: operation.parameters ?? [],
        body: (json ?? text)?.schema,
        takesText: text !== undefined,
        responses: operation.responses,
      }
    }),
  )
  const manual = withOwnLimits(read('docs/clients.md'), config)
  return { text, manual, document, operations }
}

/** Not for readInbox: a read acknowledges, so its `HEAD` would not be safe. */
const methodsOf = (method: string, operationId: string) =>
  method === 'GET' && operationId !== 'readInbox' ? ['GET', 'HEAD'] : [method]

/** A copy of the document with every `$ref` resolved; references to one target share one object. */
function withoutRefs(document: unknown): unknown {
  const resolved = new Map<string, unknown>()
  const copy = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(copy)
    if (typeof part !== 'object' || part === null) return part
    const { $ref, ...rest } = part as { $ref?: string } & Schema
    if ($ref === undefined)
      return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, copy(value)]))
    if (!resolved.has($ref)) resolved.set($ref, copy(partAt($ref, document)))
    return resolved.get($ref)
  }
  return copy(document)
}

/** Resolves a reference such as `#/components/schemas/Message`. */
function partAt(ref: string, document: unknown): unknown {
  const [, ...keys] = ref.split('/')
  return keys.reduce((part, key) => (part as Schema)[key], document)
}
