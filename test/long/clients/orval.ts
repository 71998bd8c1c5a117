import type { AxiosRequestConfig, AxiosResponse } from 'axios'
import * as api from './generated/orval'
import type { Answer, Connect } from './life.ts'

const answer = async <T>(response: Promise<AxiosResponse<T>>): Promise<Answer<T>> => {
  const { status, data } = await response
  return { status, data, code: (data as { code?: string } | undefined)?.code }
}

export const connect: Connect = (baseURL, token) => {
  const headers = token ? { Authorization: `Bearer ${token}` } : {}
  const options: AxiosRequestConfig = { baseURL, headers, validateStatus: () => true }
  return {
    register: (body) => answer(api.register(body, options)),
    login: (body) => answer(api.login(body, options)),
    renewToken: () => answer(api.renewToken(options)),
    logout: () => answer(api.logout(options)),
    sendMessage: (body, key) =>
      answer(
        api.sendMessage(body, {
          ...options,
          headers: { ...headers, ...(key && { 'Idempotency-Key': key }) },
        }),
      ),
    getMessageStatus: (id) => answer(api.getMessageStatus(id, options)),
    readInbox: (query) => answer(api.readInbox(query, options)),
    acknowledge: (body) => answer(api.acknowledge(body, options)),
    getUser: (username) => answer(api.getUser(username, options)),
    listBlocks: () => answer(api.listBlocks(options)),
    block: (username) => answer(api.block(username, options)),
    unblock: (username) => answer(api.unblock(username, options)),
    changePassword: (body) => answer(api.changePassword(body, options)),
    deleteAccount: (body) => answer(api.deleteAccount(body, options)),
    getHealth: () => answer(api.getHealth(options)),
    getReadiness: () => answer(api.getReadiness(options)),
  }
}
