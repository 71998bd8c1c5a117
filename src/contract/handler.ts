import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Identity } from '../accounts/sessions.ts'
import type { operations } from '../generated/openapi.d.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The session that asks; there in every operation that needs one. */
    identity: Identity
    /** Whose session or application token asks; there in every operation that needs a token. */
    account: Pick<Identity['session'], 'accountId' | 'username'>
  }
}

export type OperationId = keyof operations

type Part<T, Key extends string> = T extends { [K in Key]?: infer Value } ? NonNullable<Value> : unknown
type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : undefined
type Content<T> = T extends { content: { 'text/plain': infer Body } } ? Body : Json<T>
type Parameters<Id extends OperationId, Place extends string> = Part<operations[Id]['parameters'], Place>

/** The input of an operation, as the contract has it. */
interface Input<Id extends OperationId> {
  Body: Content<Part<operations[Id], 'requestBody'>>
  Querystring: Parameters<Id, 'query'>
  Params: Parameters<Id, 'path'>
}

type Success<Responses> = {
  [Status in keyof Responses]: Status extends 200 | 201 | 204 ? Json<Responses[Status]> : never
}[keyof Responses]

/**
 * What carries out an operation: it gets what the contract lets through, and gives what the contract
 * promises.
 */
export type Handler<Id extends OperationId> = (
  request: FastifyRequest<Input<Id>>,
  reply: FastifyReply,
) => Promise<Success<operations[Id]['responses']>>

/** One that answers through the reply, some time later, and holds no promise until then. */
export type LateHandler<Id extends OperationId> = (
  request: FastifyRequest<Input<Id>>,
  reply: FastifyReply,
) => undefined

/** One for each operation: one that is missing does not compile. */
export type Handlers = { [Id in OperationId]: Handler<Id> | LateHandler<Id> }
