import createClient from 'openapi-fetch'
import type { paths } from './generated/openapi-fetch.ts'
import type { Answer, Connect } from './life.ts'

interface Result<T> {
  data?: T
  error?: { code: string }
  response: Response
}

const answer = async <T>(result: Promise<Result<T>>): Promise<Answer<T>> => {
  const { data, error, response } = await result
  return { status: response.status, data, code: error?.code }
}

export const connect: Connect = (url, token) => {
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  const api = createClient<paths>({ baseUrl: url, headers })
  const user = (username: string) => ({ params: { path: { username } } })
  return {
    register: (body) => answer(api.POST('/v1/register', { body })),
    login: (body) => answer(api.POST('/v1/login', { body })),
    renewToken: () => answer(api.POST('/v1/token')),
    logout: () => answer(api.POST('/v1/logout')),
    sendMessage: (body, key) =>
      answer(api.POST('/v1/messages', { body, params: { header: key ? { 'Idempotency-Key': key } : {} } })),
    getMessageStatus: (id) => answer(api.GET('/v1/messages/{id}', { params: { path: { id } } })),
    readInbox: (query) => answer(api.GET('/v1/inbox', { params: { query } })),
    acknowledge: (body) => answer(api.POST('/v1/inbox/ack', { body })),
    getUser: (username) => answer(api.GET('/v1/users/{username}', user(username))),
    listBlocks: () => answer(api.GET('/v1/me/blocks')),
    block: (username) => answer(api.PUT('/v1/me/blocks/{username}', user(username))),
    unblock: (username) => answer(api.DELETE('/v1/me/blocks/{username}', user(username))),
    changePassword: (body) => answer(api.PUT('/v1/me/password', { body })),
    deleteAccount: (body) => answer(api.POST('/v1/me/delete', { body })),
    getHealth: () => answer(api.GET('/healthz')),
    getReadiness: () => answer(api.GET('/readyz')),
  }
}
