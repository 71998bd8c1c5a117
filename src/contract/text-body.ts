import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { invalidBody, Problem } from '../problems.ts'

/** Also form content, which `curl -d` declares, and a missing content type. */
const MEDIA_TYPE =
  /^(?:(?:text\/plain|application\/x-www-form-urlencoded)\s*(?:;\s*charset="?utf-?8"?\s*)?)?$/i

const isText = (headers: IncomingHttpHeaders) => MEDIA_TYPE.test(headers['content-type']?.trim() ?? '')

/**
 * Reads text bodies unchanged: no decoding of forms, no trimming. Refuses invalid UTF-8.
 *
 * @param scope contains only the routes that take text
 */
export function acceptText(scope: FastifyInstance) {
  scope.removeAllContentTypeParsers()
  // Fastify refuses an invalid or empty media type itself, with a message about JSON.
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
  // A missing body is the empty text, which the contract refuses as too short.
  scope.addHook('preValidation', (request, _reply, done) => {
    request.body ??= ''
    done()
  })
}
