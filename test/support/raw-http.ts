import { connect } from 'node:net'
import type { Answer } from './contract-check.ts'

/** The time-out of an answer. */
const ANSWER_MS_MAX = 5_000

/**
 * Sends raw bytes that no HTTP client would send, and reads until the server closes the connection. The bytes
 * must cause this, by `Connection: close` or by not being HTTP.
 */
export async function sendRaw(url: string, bytes: string | Uint8Array): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  // The server may close before it has read everything: the answer has arrived, and the rest fails.
  socket.on('error', () => {})
  socket.write(bytes)
  const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX)
  await new Promise((resolve) => socket.once('close', resolve))
  clearTimeout(timer)
  return parse(Buffer.concat(chunks).toString())
}

/** A raw answer. */
export function parse(text: string): Answer {
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine) ?? []
  if (end < 0 || status === undefined) throw new Error(`This is no HTTP answer: ${JSON.stringify(text)}`)

  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const headers = new Headers(pairs)
  const body = text.slice(end + 4)
  const json = body !== '' && /json/.test(headers.get('content-type') ?? '')
  return { status: Number(status), headers, body: json ? JSON.parse(body) : body }
}

/** The text of a request, with or without a body, with `Connection: close`. */
export function rawRequest(line: string, headers: string[] = [], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  return [`${line} HTTP/1.1`, 'Host: test', 'Connection: close', ...headers, ...length, '', body].join('\r\n')
}
