import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { ConfigurationError } from '../config.ts'
import type { Routes } from './listener.ts'
import { METRICS_TYPE, type Metrics } from './metrics.ts'

/** Only this machine reaches it. */
const HOST = '127.0.0.1'

/** What a scrape from this machine calls it. Any other name is that of a page that wants to read along. */
const OWN_NAMES = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i

export interface MetricsServer {
  /** Where it is: `http://127.0.0.1:9464/metrics`. */
  url: string
  close: () => void
}

/**
 * Serves `GET /metrics` to this machine, and nothing else.
 *
 * @param port 0 for any that is free
 * @throws ConfigurationError when the port is taken
 */
export async function serveMetrics(metrics: Metrics, port: number): Promise<MetricsServer> {
  await metrics.start()
  const server = createServer((request, response) => {
    answer(metrics, request, response).catch((error: Error) => {
      reply(response, 500, `${error.message}\n`)
    })
  })
  await listenForScrapes(server, port)
  const { port: bound } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://${HOST}:${bound}/metrics`, close }
}

/** @throws ConfigurationError when the port is taken */
export async function listenForScrapes(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ message }) => reject(new ConfigurationError([`OPS_PORT: ${message}.`])))
    server.listen(port, HOST, resolve)
  })
}

/** The same on the socket, which our user alone can connect to. */
export const metricsRoutes = (metrics: Metrics): Routes => ({
  'GET /metrics': async (_request, response) => reply(response, 200, await metrics.text()),
})

async function answer(
  metrics: Metrics,
  { method = '', url, headers }: IncomingMessage,
  response: ServerResponse,
) {
  if (!OWN_NAMES.test(headers.host ?? ''))
    return reply(response, 403, 'Only for this machine: use 127.0.0.1.\n')
  if (url?.split('?')[0] !== '/metrics') return reply(response, 404, 'Only /metrics is here.\n')
  if (!['GET', 'HEAD'].includes(method)) return reply(response, 405, '/metrics has GET, HEAD.\n', 'GET, HEAD')
  return reply(response, 200, await metrics.text())
}

function reply(response: ServerResponse, status: number, text: string, allow?: string) {
  const type = status === 200 ? METRICS_TYPE : 'text/plain; charset=utf-8'
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    ...(allow !== undefined && { Allow: allow }),
  })
  response.end(text)
}
