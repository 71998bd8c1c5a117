import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Identity } from '../accounts/sessions.ts'
import type { operations } from '../generated/openapi.d.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The session of the request; set in every operation that needs one. */
    identity: Identity
    /** The account of the session or application token; set in every operation that needs a token. */
    account: Pick<Identity['session'], 'accountId' | 'username'>
  }
}

export type OperationId = keyof operations

type Part<T, Key extends string> = T extends { [K in Key]?: infer Value } ? NonNullable<Value> : unknown
type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : undefined
type Content<T> = T extends { content: { 'text/plain': infer Body } } ? Body : Json<T>
type Parameters<Id extends OperationId, Place extends string> = Part<operations[Id]['parameters'], Place>

/** The input types of an operation, from the contract. */
interface Input<Id extends OperationId> {
  Body: Content<Part<operations[Id], 'requestBody'>>
  Querystring: Parameters<Id, 'query'>
  Params: Parameters<Id, 'path'>
}

type Success<Responses> = {
  [Status in keyof Responses]: Status extends 200 | 201 | 204 ? Json<Responses[Status]> : never
}[keyof Responses]

/** Handles an operation. The input has been validated; the result has the type of the contract. */
export type Handler<Id extends OperationId> = (
  request: FastifyRequest<Input<Id>>,
  reply: FastifyReply,
) => Promise<Success<operations[Id]['responses']>>

/**
 * A handler that answers through `reply` later, without holding a promise: it saves memory per parked poll.
 */
export type LateHandler<Id extends OperationId> = (
  request: FastifyRequest<Input<Id>>,
  reply: FastifyReply,
) => undefined

/** One handler per operation: a missing one does not compile. */
export type Handlers = { [Id in OperationId]: Handler<Id> | LateHandler<Id> }
