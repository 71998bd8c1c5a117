import { once } from 'node:events'
import { request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { atTheEnd, type Ending } from './endings.ts'

export interface WebProxy {
  url: string
  /** Appended to a file such as `/sw.js`, to make another version of it. */
  additions: Map<string, string>
}

/** A proxy like that in front of a server on the internet. It strips the path prefix. */
export async function startWebProxy(t: Ending, to: string, prefix = ''): Promise<WebProxy> {
  const additions = new Map<string, string>()
  const proxy = createServer((request, response) => {
    const path = request.url ?? ''
    if (!path.startsWith(`${prefix}/`)) return void response.writeHead(404).end()
    const stripped = path.slice(prefix.length)
    const addition = additions.get(stripped)
    const headers = { ...request.headers }
    if (addition !== undefined) {
      delete headers['accept-encoding']
      delete headers['if-none-match']
    }
    const onward = ask(to + stripped, { method: request.method, headers }, async (answer) => {
      if (addition === undefined) {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        return void answer.pipe(response)
      }
      const content = Buffer.concat([await buffer(answer), Buffer.from(addition)])
      const changed = { ...answer.headers, 'content-length': String(content.length), etag: '"another"' }
      response.writeHead(answer.statusCode ?? 502, changed).end(content)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  atTheEnd(t, () => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const { port } = proxy.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}${prefix}/`, additions }
}
