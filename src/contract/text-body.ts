import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'

/**
 * `curl -d` names its content a form. No content type at all is text too: there is nothing else that it could
 * be here.
 */
const MEDIA_TYPE =
  /^(?:(?:text\/plain|application\/x-www-form-urlencoded)\s*(?:;\s*charset="?utf-?8"?\s*)?)?$/i

/**
 * Reads bodies that are text, as they are: nothing is decoded, trimmed or replaced. Bytes that are not UTF-8
 * are refused.
 *
 * @param scope of the routes that take text; no other route gets this parser
 */
export function acceptText(scope: FastifyInstance) {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, ({ headers }, bytes: Buffer, done) => {
    if (!MEDIA_TYPE.test(headers['content-type']?.trim() ?? ''))
      return done(new Problem('unsupported_media_type', 'Send the text as text/plain, in UTF-8.'))
    if (!isUtf8(bytes))
      return done(
        new Problem('invalid_request', 'The body is not UTF-8.', {
          errors: [{ pointer: '', detail: 'is not UTF-8' }],
        }),
      )
    done(null, bytes.toString())
  })
  // No content is the empty text, which the contract then refuses as one that is too short.
  scope.addHook('preValidation', (request, _reply, done) => {
    request.body ??= ''
    done()
  })
}
