import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { ConfigurationError } from '../config.ts'
import { METRICS_TYPE, type Metrics } from './metrics.ts'

/** Loopback: only this machine can connect. */
const HOST = '127.0.0.1'

/** The `Host` of a scrape from this machine. Any other is DNS rebinding by a web page. */
const OWN_NAMES = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i

export interface MetricsServer {
  /** Such as `http://127.0.0.1:9464/metrics`. */
  url: string
  close: () => void
}

/**
 * Serves `GET /metrics` to this machine, on a port of its own.
 *
 * @param port 0 for any free port
 * @throws ConfigurationError when the port is taken
 */
export async function serveMetrics(metrics: Metrics, port: number): Promise<MetricsServer> {
  await metrics.start()
  const server = createServer((request, response) => {
    answer(metrics, request, response).catch((error: Error) => {
      sendText(response, 500, `${error.message}\n`)
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

async function answer(
  metrics: Metrics,
  { method = '', url, headers }: IncomingMessage,
  response: ServerResponse,
) {
  if (!OWN_NAMES.test(headers.host ?? ''))
    return sendText(response, 403, 'Use http://127.0.0.1: this port is for this machine only.\n')
  if (url?.split('?')[0] !== '/metrics') return sendText(response, 404, 'There is only /metrics here.\n')
  if (!['GET', 'HEAD'].includes(method))
    return sendText(response, 405, '/metrics supports GET, HEAD.\n', 'GET, HEAD')
  return sendText(response, 200, await metrics.text())
}

/** Sends the metrics with status 200, or a sentence about an error. */
export function sendText(response: ServerResponse, status: number, text: string, allow?: string): void {
  const type = status === 200 ? METRICS_TYPE : 'text/plain; charset=utf-8'
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    ...(allow !== undefined && { Allow: allow }),
  })
  response.end(text)
}
