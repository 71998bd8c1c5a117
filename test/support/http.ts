import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

/** A raw response. */
export interface HttpResponse {
  status: number
  headers: ReceivedHeaders
  text: string
}

/** The part of `Headers` that tests use; the real one would load all of fetch into each process. */
export interface ReceivedHeaders extends Iterable<[name: string, value: string]> {
  get: (name: string) => string | null
}

export function headersOf(received: IncomingHttpHeaders): ReceivedHeaders {
  const values = new Map(Object.entries(received).map(([name, value]) => [name, String(value)]))
  return {
    get: (name) => values.get(name.toLowerCase()) ?? null,
    [Symbol.iterator]: () => values.entries(),
  }
}

/**
 * Error codes of connections that broke, were refused or aborted. Codes of programming errors begin with
 * ERR_.
 */
const NO_ANSWER = /^(E[A-Z]+|HPE_\w+|ABORT_ERR)$/

/** Whether a failed request got no answer. Every other error is a failure of the test. */
export const gotNoAnswer = (error: Error & { code?: string }): boolean => NO_ANSWER.test(error.code ?? '')

const agent = new Agent({ keepAlive: true })

/**
 * One request over a persistent connection. It uses node:http, because fetch creates so many promises that a
 * request takes four times as long under a test runner.
 *
 * @throws Error with a `code` when the connection breaks, or the signal aborts
 */
export function exchange(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: string | Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent, ...(signal && { signal }) })
    sent.on('error', reject)
    sent.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: headersOf(response.headers),
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    sent.end(body)
  })
}
