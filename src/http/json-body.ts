import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalidBody, Problem } from '../problems.ts'

/** A byte order mark, which some programs put before a text. RFC 8259 §8.1 allows ignoring it. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * Reads JSON bodies. Bytes that are not UTF-8 are refused: decoding would replace them by U+FFFD, and a
 * message is never altered. A missing body is left to the contract, which says where one is required.
 */
export function acceptJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes: Buffer, done) => {
    if (bytes.length === 0) return done(null, undefined)
    if (!isUtf8(bytes)) return done(invalidBody('is not UTF-8'))
    const text = withoutMark(bytes).toString()
    if (hasTooManyValues(text)) return done(invalidBody('has far more values than any request takes'))
    try {
      done(null, JSON.parse(text))
    } catch {
      done(invalidBody('is not JSON'))
    }
  })
  app.addContentTypeParser('*', refuseContent)

  // After authentication, before the body is read.
  app.addHook('preParsing', ({ headers }, reply, _payload, done) => {
    // Many clients send a Content-Type without content: it is ignored.
    if (isWithoutContent(headers)) delete headers['content-type']
    else if (isCoded(headers['content-encoding'])) {
      reply.header('Accept-Encoding', 'identity')
      return done(new Problem('unsupported_media_type', 'The body must be sent without Content-Encoding.'))
    }
    done()
  })
}

/** Far more than any operation takes. A shorter body cannot contain thousands. */
const VALUES_MAX = 1_000
const SHORT_LENGTH_MAX = 8_192

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = Buffer.from('"\\,[{')

/**
 * Whether a body has so many members, elements or levels that parsing it takes 20 times as long as the
 * longest message. Counting them takes a fraction of that.
 */
function hasTooManyValues(json: string): boolean {
  if (json.length <= SHORT_LENGTH_MAX) return false
  let values = 0
  let inString = false
  for (let at = 0; at < json.length && values <= VALUES_MAX; at++) {
    const unit = json.charCodeAt(at)
    if (unit === QUOTE) inString = !inString
    else if (inString) at += unit === BACKSLASH ? 1 : 0
    else if (unit === COMMA || unit === BRACKET || unit === BRACE) values += 1
  }
  return values > VALUES_MAX
}

const isWithoutContent = (headers: IncomingHttpHeaders) =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0

const isCoded = (codings: string | undefined) =>
  codings?.split(',').some((coding) => !/^\s*(identity)?\s*$/i.test(coding)) ?? false

const withoutMark = (bytes: Buffer) =>
  bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
    ? bytes.subarray(BYTE_ORDER_MARK.length)
    : bytes

/** Refuses content of any other type. Whether a chunked body is empty is known only at its end. */
function refuseContent(
  { headers }: FastifyRequest,
  body: NodeJS.ReadableStream,
  done: (error: Error | null) => void,
) {
  const refuse = () => {
    body.off('end', onEnd)
    done(new Problem('unsupported_media_type', 'The body must be sent as application/json.'))
  }
  const onEnd = () => {
    body.off('data', refuse)
    done(null)
  }
  if (headers['content-length'] !== undefined) return refuse()
  body.once('data', refuse)
  body.once('end', onEnd)
}
