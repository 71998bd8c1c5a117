import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

/** A response as it came. */
export interface HttpResponse {
  status: number
  headers: ReceivedHeaders
  text: string
}

/** What tests ask of `Headers`; with those themselves each process would load all of fetch. */
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

/** Codes of a connection that broke, was refused or given up. Those of mistakes begin with ERR_. */
const NO_ANSWER = /^(E[A-Z]+|HPE_\w+|ABORT_ERR)$/

/** Whether a request that failed got no answer. Everything else is a failure of the test. */
export const gotNoAnswer = (error: Error & { code?: string }): boolean => NO_ANSWER.test(error.code ?? '')

const agent = new Agent({ keepAlive: true })

/**
 * One request over a connection that is kept. By node:http: fetch makes so many promises that a request
 * takes four times as long where a test runner watches them.
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
