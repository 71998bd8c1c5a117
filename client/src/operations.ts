import type { components, operations } from './generated/openapi.d.ts'

/** The operations that the library uses, as `openapi.yaml` has them. */
export const OPERATIONS = {
  register: 'POST /v1/register',
  login: 'POST /v1/login',
  renewToken: 'POST /v1/token',
  logout: 'POST /v1/logout',
  sendMessage: 'POST /v1/messages',
  getMessageStatus: 'GET /v1/messages/{id}',
  readInbox: 'GET /v1/inbox',
  acknowledge: 'POST /v1/inbox/ack',
  getUser: 'GET /v1/users/{username}',
  getMe: 'GET /v1/me',
  updateMe: 'PATCH /v1/me',
  changePassword: 'PUT /v1/me/password',
  deleteAccount: 'POST /v1/me/delete',
  listSessions: 'GET /v1/me/sessions',
  endSession: 'DELETE /v1/me/sessions/{id}',
  listBlocks: 'GET /v1/me/blocks',
  block: 'PUT /v1/me/blocks/{username}',
  unblock: 'DELETE /v1/me/blocks/{username}',
  listTokens: 'GET /v1/me/tokens',
  createToken: 'POST /v1/me/tokens',
  revokeToken: 'DELETE /v1/me/tokens/{id}',
  getPush: 'GET /v1/push',
  createPushSubscription: 'POST /v1/me/push-subscriptions',
  listPushSubscriptions: 'GET /v1/me/push-subscriptions',
  deletePushSubscription: 'DELETE /v1/me/push-subscriptions/{id}',
} as const satisfies Partial<Record<keyof operations, `${string} /${string}`>>

export type Operation = keyof typeof OPERATIONS

type Parameters<O extends Operation> = operations[O]['parameters']
type Members<T> = [NonNullable<T>] extends [never] ? unknown : NonNullable<T>
type Body<O> = O extends { requestBody: { content: { 'application/json': infer B } } } ? B : unknown
type Json<T> = { content: { 'application/json': T } }

/** The input of an operation in one object: the members of its path, query and body. */
export type Input<O extends Operation> = Members<Parameters<O>['path']> &
  Members<Parameters<O>['query']> &
  Body<operations[O]>

/** The successful response of an operation. */
export type Output<O extends Operation> = operations[O]['responses'] extends { 200: Json<infer T> }
  ? T
  : operations[O]['responses'] extends { 201: Json<infer T> }
    ? T
    : undefined

type Schemas = components['schemas']

/** An entry of the inbox: a message, or a receipt, which has `receiptFor`. */
export type Message = Schemas['Message']

/** Messages of the inbox, in order. */
export type Page = Output<'readInbox'>

/**
 * A range of missing inbox numbers. `reason` is `purged`, `restored`, or the library's own `cursor_ahead`:
 * the inbox ends before `from`, so the server has lost these messages and will give their numbers to others.
 */
export type Gap = Schemas['Gap']
