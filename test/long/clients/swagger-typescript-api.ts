import { Api, type HttpResponse, type Problem } from './generated/swagger-typescript-api'
import type { Answer, Connect } from './life.ts'

/** The client throws refusals, and reads the problem of an operation that has content when it succeeds. */
const answer = async <T>(result: Promise<HttpResponse<T, Problem>>): Promise<Answer<T>> => {
  const response = await result.catch((refusal: HttpResponse<T, Problem>) => refusal)
  if (!(response instanceof Response)) throw response
  const { ok, status, data, error } = response
  return { status, ...(ok ? { data } : { code: error?.code }) }
}

export const connect: Connect = (baseUrl, token) => {
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {}
  const { v1, healthz, readyz } = new Api({ baseUrl, baseApiParams: { headers } })
  return {
    register: (body) => answer(v1.register(body)),
    login: (body) => answer(v1.login(body)),
    renewToken: () => answer(v1.renewToken()),
    logout: () => answer(v1.logout()),
    sendMessage: (body, key) =>
      answer(v1.sendMessage(body, key ? { headers: { 'Idempotency-Key': key } } : {})),
    getMessageStatus: (id) => answer(v1.getMessageStatus(id)),
    readInbox: (query) => answer(v1.readInbox(query)),
    acknowledge: (body) => answer(v1.acknowledge(body)),
    getUser: (username) => answer(v1.getUser(username)),
    listBlocks: () => answer(v1.listBlocks()),
    block: (username) => answer(v1.block(username)),
    unblock: (username) => answer(v1.unblock(username)),
    changePassword: (body) => answer(v1.changePassword(body)),
    deleteAccount: (body) => answer(v1.deleteAccount(body)),
    getHealth: () => answer(healthz.getHealth()),
    getReadiness: () => answer(readyz.getReadiness()),
  }
}
