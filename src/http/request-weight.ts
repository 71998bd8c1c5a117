import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** A body or URL of this length, or as many headers, take about as long to parse as a short request. */
const BODY_BYTES_EACH = 8_192
const PATH_LENGTH_EACH = 512
const HEADERS_EACH = 32

/** The assumed length of a chunked body. */
const CHUNKED_BYTES = 65_536

/** A body that is announced longer may be refused, or never come, and must not count without end. */
const WEIGHT_MAX = 64

/** How many requests a request counts as. */
export function weightOf({ headers, rawHeaders, url = '' }: IncomingMessage): number {
  const bodyBytes = headers['transfer-encoding'] === undefined ? lengthOf(headers) : CHUNKED_BYTES
  const weight =
    1 +
    Math.floor(bodyBytes / BODY_BYTES_EACH) +
    Math.floor(url.length / PATH_LENGTH_EACH) +
    // Names and values.
    Math.floor(rawHeaders.length / 2 / HEADERS_EACH)
  return Math.min(weight, WEIGHT_MAX)
}

/** The length that a body is announced with, in bytes. */
export const lengthOf = (headers: IncomingHttpHeaders) => Number(headers['content-length'] ?? 0)
