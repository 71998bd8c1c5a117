import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'

/** JSON Schema, as far as it is passed on to the libraries that understand it. */
export type Schema = Record<string, unknown>

interface Parameter {
  name: string
  in: 'query' | 'path' | 'header'
  required?: boolean
  schema: Schema
}

interface Response {
  content?: Record<string, { schema: Schema }>
}

/** An operation of the contract, with every `$ref` replaced by what it refers to. */
export interface Operation {
  operationId: string
  method: string
  /** As in the contract: `/v1/users/{username}`. */
  path: string
  authenticated: boolean
  /** Whether an application token does as well as a session's. */
  takesApplicationTokens: boolean
  parameters: Parameter[]
  /** The schema of the body, where there is one. */
  body: Schema | undefined
  /** Whether the body is text as it is, and not JSON. */
  takesText: boolean
  responses: Record<string, Response>
}

/** openapi.yaml: the bytes that are served, and the operations that are in it. */
export interface Contract {
  text: Buffer
  document: OpenApiDocument
  operations: Operation[]
}

interface OpenApiDocument {
  openapi: string
  info: { title: string; version: string }
  security: Record<string, string[]>[]
  paths: Record<string, Record<string, OpenApiOperation>>
  components: { schemas: { MessageBody: { maxLength: number } } }
}

interface OpenApiOperation {
  operationId: string
  security?: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { content: Partial<Record<'application/json' | 'text/plain', { schema: Schema }>> }
  responses: Record<string, Response>
}

/** src/contract/ and dist/contract/ lie equally deep below the package's root. */
const FILE = new URL('../../openapi.yaml', import.meta.url)

/**
 * Reads the contract, which is the only place where a request or a response is described.
 *
 * @param messageLengthMax takes the place of the default that is written there
 */
export function readContract(messageLengthMax: number): Contract {
  const text = readFileSync(FILE)
  const document = load(text.toString()) as OpenApiDocument
  document.components.schemas.MessageBody.maxLength = messageLengthMax
  const { paths, security } = withoutRefs(document, document) as OpenApiDocument

  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const schemes = (operation.security ?? security).flatMap((scheme) => Object.keys(scheme))
      const { 'application/json': json, 'text/plain': text } = operation.requestBody?.content ?? {}
      return {
        operationId: operation.operationId,
        method: method.toUpperCase(),
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
  return { text, document, operations }
}

/** A copy of a part of the document in which what is referred to stands in the place of each reference. */
function withoutRefs(part: unknown, document: unknown): unknown {
  if (Array.isArray(part)) return part.map((element) => withoutRefs(element, document))
  if (typeof part !== 'object' || part === null) return part
  const { $ref, ...rest } = part as { $ref?: string } & Schema
  if ($ref !== undefined) return withoutRefs(resolve($ref, document), document)
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, withoutRefs(value, document)]))
}

/** Follows a reference inside the document: `#/components/schemas/Message`. */
function resolve(ref: string, document: unknown): unknown {
  const [, ...keys] = ref.split('/')
  return keys.reduce((part, key) => (part as Schema)[key], document)
}
