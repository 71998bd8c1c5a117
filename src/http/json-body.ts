import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalidBody, Problem } from '../problems.ts'

/** Some programs begin a text with it. RFC 8259 §8.1 allows ignoring it. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * Reads JSON bodies. Refuses invalid UTF-8, because decoding would replace it with U+FFFD, and messages are
 * never altered. Validation refuses a missing body.
 */
export function acceptJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes: Buffer, done) => {
    if (bytes.length === 0) return done(null, undefined)
    if (!isUtf8(bytes)) return done(invalidBody('is not UTF-8'))
    const text = withoutMark(bytes).toString()
    if (hasTooManyValues(text)) return done(invalidBody('has far more values than any operation takes'))
    try {
      done(null, JSON.parse(text))
    } catch {
      done(invalidBody('is not JSON'))
    }
  })
  app.addContentTypeParser('*', refuseContent)

  // After authentication, before the body is read.
  app.addHook('preParsing', ({ headers }, reply, _payload, done) => {
    // Ignore the Content-Type that many clients send without content.
    if (isWithoutContent(headers)) delete headers['content-type']
    else if (isCoded(headers['content-encoding'])) {
      reply.header('Accept-Encoding', 'identity')
      return done(new Problem('unsupported_media_type', 'The body must be sent without Content-Encoding.'))
    }
    done()
  })
}

/** Far more than any operation takes. Short bodies are not counted. */
const VALUES_MAX = 1_000
const SHORT_LENGTH_MAX = 8_192

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = Buffer.from('"\\,[{')

/**
 * Whether parsing would take too long: a body of many members, elements or levels takes 20 times as long as
 * the longest message. Counting takes a fraction of that.
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

/** Refuses content of other types. An empty chunked body is accepted, which is known only at its end. */
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
