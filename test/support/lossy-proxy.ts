import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/** Replaces an answer: a closed connection, silence on an open connection, or the answer of a gateway. */
export type Loss = 'connection' | 'silence' | { status: number; retryAfterSeconds: number }

export interface LossyProxy {
  url: string
  /** The URL of the server. */
  to: string
  /** The next answers to be lost, to requests such as `POST /v1/login`. The server gets the requests. */
  losses: { request: RegExp; loss: Loss }[]
  requests: { line: string; key: string | undefined; atMs: number }[]
  /** A document that replaces the server's page at `/`. */
  page?: string
}

/** A proxy in front of a server that loses answers, like gateways and phones do. */
export async function startLossyProxy(t: TestContext, to: string): Promise<LossyProxy> {
  const server = createServer((request, response) => {
    pass(proxy, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const proxy: LossyProxy = { url: `http://127.0.0.1:${port}`, to, losses: [], requests: [] }
  return proxy
}

async function pass(proxy: LossyProxy, request: IncomingMessage, response: ServerResponse) {
  const { method = '', url = '', headers } = request
  const line = `${method} ${url}`
  const key = headers['idempotency-key'] as string | undefined
  proxy.requests.push({ line, key, atMs: Date.now() })

  if (proxy.page !== undefined && line === 'GET /')
    return response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(proxy.page)

  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const body = await buffer(request)
  const passed = ['authorization', 'content-type', 'idempotency-key'].flatMap((name) => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value] as [string, string]] : []
  })
  const answer = await fetch(proxy.to + url, {
    method,
    headers: passed,
    signal: gone.signal,
    ...(body.length > 0 && { body }),
  })
  const content = Buffer.from(await answer.arrayBuffer())

  const index = proxy.losses.findIndex((lost) => lost.request.test(line))
  const [lost] = index < 0 ? [] : proxy.losses.splice(index, 1)
  if (lost?.loss === 'silence') return
  if (lost?.loss === 'connection') response.destroy()
  else if (lost) response.writeHead(lost.loss.status, { 'Retry-After': lost.loss.retryAfterSeconds }).end()
  else response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(content)
}
