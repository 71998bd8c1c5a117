import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { atTheEnd, type Ending } from './endings.ts'
import { exchange } from './http.ts'

/** The replacement for values that may grow; test/long/clients/life.ts expects it. */
const LATER = 'of_a_later_version'
/** Members that may get new values within v1. A client that did not know `tokenType` could send no token. */
const OPEN_MEMBERS = ['code', 'delivery', 'state', 'reason']
/** Headers about the connection, or about the unchanged content. */
const NOT_PASSED_ON = ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding']

/**
 * A proxy that turns the responses of a server into those of a later version within v1: every object has an
 * unknown member, every open member an unknown value, and every page of an inbox a gap.
 *
 * @param url of the server
 * @returns the URL of the later version
 */
export async function laterVersionOf(t: Ending, url: string): Promise<string> {
  const proxy = createServer((request, response) => {
    answer(url, request).then(
      ({ status, headers, content }) => response.writeHead(status, headers).end(content),
      (error: Error) => response.destroy(error),
    )
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  atTheEnd(t, async () => {
    proxy.close()
    proxy.closeAllConnections()
    await once(proxy, 'close')
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

async function answer(server: string, request: IncomingMessage) {
  const { method = 'GET', url = '/' } = request
  const content = await text(request)
  const sent = passedOn(request.headers as Record<string, string>)
  const response = await exchange(`${server}${url}`, method, sent, content || undefined, undefined)
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: { ...passedOn(Object.fromEntries(response.headers)), 'X-Of-A-Later-Version': 'yes' },
    content: isJson ? JSON.stringify(later(JSON.parse(response.text))) : response.text,
  }
}

const passedOn = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !NOT_PASSED_ON.includes(name)))

/** A part of a response as a later version may write it. */
function later(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(later)
  if (typeof part !== 'object' || part === null) return part
  const members = Object.entries(part).map(([name, value]) => [
    name,
    OPEN_MEMBERS.includes(name) ? LATER : later(value),
  ])
  return {
    ...('messages' in part && { gap: { from: 1, to: 1, reason: LATER, since: LATER } }),
    ...Object.fromEntries(members),
    later: { reason: [LATER, 1, null] },
  }
}
