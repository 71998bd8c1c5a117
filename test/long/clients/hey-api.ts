import { createClient } from './generated/hey-api/client'
import * as sdk from './generated/hey-api/sdk.gen'
import type { Answer, Connect } from './life.ts'

interface Result<T> {
  data?: T | undefined
  error?: unknown
  response?: Response | undefined
}

/** A response that zod refuses comes as an error beside a success: that is thrown. */
const answer = async <T>(result: Promise<Result<T>>): Promise<Answer<T>> => {
  const { data, error, response } = await result
  if (!response || (response.ok && error !== undefined)) throw error
  return { status: response.status, data, code: (error as { code?: string } | undefined)?.code }
}

export const connect: Connect = (url, token) => {
  const client = createClient({ baseUrl: url, ...(token && { auth: () => token }) })
  const user = (username: string) => ({ client, path: { username } })
  return {
    register: (body) => answer(sdk.register({ client, body })),
    login: (body) => answer(sdk.login({ client, body })),
    renewToken: () => answer(sdk.renewToken({ client })),
    logout: () => answer(sdk.logout({ client })),
    sendMessage: (body, key) =>
      answer(sdk.sendMessage({ client, body, ...(key && { headers: { 'Idempotency-Key': key } }) })),
    getMessageStatus: (id) => answer(sdk.getMessageStatus({ client, path: { id } })),
    readInbox: (query) => answer(sdk.readInbox({ client, query })),
    acknowledge: (body) => answer(sdk.acknowledge({ client, body })),
    getUser: (username) => answer(sdk.getUser(user(username))),
    listBlocks: () => answer(sdk.listBlocks({ client })),
    block: (username) => answer(sdk.block(user(username))),
    unblock: (username) => answer(sdk.unblock(user(username))),
    changePassword: (body) => answer(sdk.changePassword({ client, body })),
    deleteAccount: (body) => answer(sdk.deleteAccount({ client, body })),
    getHealth: () => answer(sdk.getHealth({ client })),
    getReadiness: () => answer(sdk.getReadiness({ client })),
  }
}
