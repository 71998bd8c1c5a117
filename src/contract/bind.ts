import type { FastifyInstance, onRequestHookHandler, RouteHandlerMethod, RouteOptions } from 'fastify'
import type { Contract, Operation, Schema } from './document.ts'
import type { Handlers } from './handler.ts'
import { acceptText } from './text-body.ts'
import { validatorCompiler } from './validation.ts'

/** Returns the hook that authenticates an operation. */
export type Authenticate = (operation: Operation) => onRequestHookHandler

/**
 * Adds a route for every operation of the contract, with its authentication, validation and serialisation.
 *
 * @throws Error when an operation has no handler, or a handler no operation
 */
export function bind(
  app: FastifyInstance,
  { operations }: Contract,
  handlers: Handlers,
  authenticate: Authenticate,
) {
  const unbound = new Map<string, unknown>(Object.entries(handlers))
  app.setValidatorCompiler(validatorCompiler())
  app.decorateRequest('identity')
  app.decorateRequest('account')

  for (const operation of operations) {
    const handler = unbound.get(operation.operationId)
    if (!handler) throw new Error(`The operation ${operation.operationId} has no handler.`)
    unbound.delete(operation.operationId)
    const route: RouteOptions = {
      method: operation.methods,
      url: operation.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      ...(operation.authenticated && { onRequest: authenticate(operation) }),
      ...(operation.body && { bodyLimit: bytesMax(operation.body) }),
      schema: routeSchema(operation),
      config: { operationId: operation.operationId },
      handler: handler as RouteHandlerMethod,
    }
    if (operation.takesText)
      app.register((scope, _options, done) => {
        acceptText(scope)
        scope.route(route)
        done()
      })
    else app.route(route)
  }
  for (const name of unbound.keys()) throw new Error(`The handler ${name} has no operation.`)
}

function routeSchema({ parameters, body, responses }: Operation) {
  return {
    ...parameterSchemas(parameters),
    ...(body && { body }),
    // Success only: `sendProblem` writes problems, whose serializers would double the compile time.
    response: Object.fromEntries(
      Object.entries(responses)
        .filter(([status]) => status.startsWith('2'))
        .flatMap(([status, { content = {} }]) =>
          Object.values(content).map(({ schema }) => [status, schema]),
        ),
    ),
  }
}

/** OpenAPI's places of parameters, and Fastify's names for them. */
const PLACES = { query: 'querystring', path: 'params', header: 'headers' }

function parameterSchemas(parameters: Operation['parameters']): Record<string, Schema> {
  const schemas = Object.entries(PLACES).map(([place, name]) => {
    const inPlace = parameters.filter((parameter) => parameter.in === place)
    return [name, inPlace] as const
  })
  const used = schemas.filter(([name, inPlace]) => inPlace.length > 0 || name === 'querystring')
  return Object.fromEntries(
    used.map(([name, inPlace]) => [
      name,
      name === 'querystring' ? closed(objectOf(inPlace)) : objectOf(inPlace),
    ]),
  )
}

/**
 * Refuses unknown parameters, which may be misspelt. Allows `_`, which some libraries append against caches.
 */
const closed = ({ properties, ...schema }: Schema): Schema => ({
  ...schema,
  properties: { ...(properties as Schema), _: {} },
  additionalProperties: false,
})

/** One object schema for parameters in one place. Header names are in lower case, as in Node. */
function objectOf(parameters: Operation['parameters']): Schema {
  const nameOf = ({ name, in: place }: Operation['parameters'][number]) =>
    place === 'header' ? name.toLowerCase() : name
  return {
    type: 'object',
    properties: Object.fromEntries(parameters.map((parameter) => [nameOf(parameter), parameter.schema])),
    required: parameters.filter(({ required }) => required).map(nameOf),
  }
}

/** Bytes for the rest of a body: names, punctuation, white space. */
const BODY_BYTES_AROUND = 1_024
/** A character outside the basic plane: two escapes of six bytes in JSON, or UTF-8. */
const CHARACTER_BYTES_MAX = { json: 12, text: 4 }
/** Bytes of a value without a `maxLength`: a number, a boolean, a name. */
const SHORT_VALUE_LENGTH = 32

/** The maximum size of a valid body, in bytes; a larger one is refused before it fills the memory. */
function bytesMax({ properties, maxLength: textMax }: Schema): number {
  if (typeof textMax === 'number') return CHARACTER_BYTES_MAX.text * textMax
  const lengths = Object.values(properties as Record<string, { maxLength?: number }>).map(
    ({ maxLength = SHORT_VALUE_LENGTH }) => maxLength,
  )
  return BODY_BYTES_AROUND + CHARACTER_BYTES_MAX.json * lengths.reduce((sum, length) => sum + length, 0)
}
