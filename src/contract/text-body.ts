import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { invalidBody, Problem } from '../problems.ts'

/**
 * `curl -d` names its content a form. No content type at all is text too: there is nothing else that it could
 * be here.
 */
const MEDIA_TYPE =
  /^(?:(?:text\/plain|application\/x-www-form-urlencoded)\s*(?:;\s*charset="?utf-?8"?\s*)?)?$/i

const isText = (headers: IncomingHttpHeaders) => MEDIA_TYPE.test(headers['content-type']?.trim() ?? '')

/**
 * Reads bodies that are text, as they are: nothing is decoded, trimmed or replaced. Bytes that are not UTF-8
 * are refused.
 *
 * @param scope of the routes that take text; no other route gets this parser
 */
export function acceptText(scope: FastifyInstance) {
  scope.removeAllContentTypeParsers()
  // Fastify itself refuses what is no media type, an empty one too, in words that are for JSON.
  scope.addHook('preParsing', ({ headers }, _reply, _payload, done) => {
    if (!isText(headers)) headers['content-type'] = 'application/octet-stream'
    else if (headers['content-type']?.trim() === '') delete headers['content-type']
    done()
  })
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, ({ headers }, bytes: Buffer, done) => {
    if (!isText(headers))
      return done(new Problem('unsupported_media_type', 'Send the text as text/plain, in UTF-8.'))
    if (!isUtf8(bytes)) return done(invalidBody('is not UTF-8'))
    done(null, bytes.toString())
  })
  // No content is the empty text, which the contract then refuses as one that is too short.
  scope.addHook('preValidation', (request, _reply, done) => {
    request.body ??= ''
    done()
  })
}
