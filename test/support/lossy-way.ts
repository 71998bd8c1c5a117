import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/**
 * What comes in the place of an answer: the end of the connection, nothing at all on one that seems to live,
 * or the answer of a gateway.
 */
export type Loss = 'connection' | 'silence' | { status: number; retryAfterSeconds: number }

export interface LossyWay {
  url: string
  /** Where it leads. */
  to: string
  /**
   * The next answers to requests such as `POST /v1/login` that are lost; the server gets the requests all the
   * same.
   */
  losses: { request: RegExp; loss: Loss }[]
  requests: { line: string; key: string | undefined; atMs: number }[]
  /** A document that is at `/` in the place of what the server has there. */
  page?: string
}

/** A way to a server on which answers get lost, as gateways and phones lose them. */
export async function startLossyWay(t: TestContext, to: string): Promise<LossyWay> {
  const proxy = createServer((request, response) => {
    pass(way, request, response).catch(() => response.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const { port } = proxy.address() as AddressInfo
  const way: LossyWay = { url: `http://127.0.0.1:${port}`, to, losses: [], requests: [] }
  return way
}

async function pass(way: LossyWay, request: IncomingMessage, response: ServerResponse) {
  const { method = '', url = '', headers } = request
  const line = `${method} ${url}`
  const key = headers['idempotency-key'] as string | undefined
  way.requests.push({ line, key, atMs: Date.now() })

  if (way.page !== undefined && line === 'GET /')
    return response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(way.page)

  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const body = await buffer(request)
  const passed = ['authorization', 'content-type', 'idempotency-key'].flatMap((name) => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value] as [string, string]] : []
  })
  const answer = await fetch(way.to + url, {
    method,
    headers: passed,
    signal: gone.signal,
    ...(body.length > 0 && { body }),
  })
  const content = Buffer.from(await answer.arrayBuffer())

  const index = way.losses.findIndex((lost) => lost.request.test(line))
  const [lost] = index < 0 ? [] : way.losses.splice(index, 1)
  if (lost?.loss === 'silence') return
  if (lost?.loss === 'connection') response.destroy()
  else if (lost) response.writeHead(lost.loss.status, { 'Retry-After': lost.loss.retryAfterSeconds }).end()
  else response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(content)
}
