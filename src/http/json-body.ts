import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'

/**
 * Reads JSON bodies. Bytes that are not UTF-8 are refused: decoding would put U+FFFD in their place, and a
 * message is never altered. No body at all is left to the contract, which says where one is required.
 */
export function acceptJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes: Buffer, done) => {
    if (bytes.length === 0) return done(null, undefined)
    if (!isUtf8(bytes)) return done(invalidBody('is not UTF-8'))
    try {
      done(null, JSON.parse(bytes.toString()))
    } catch {
      done(invalidBody('is not JSON'))
    }
  })
}

const invalidBody = (detail: string) =>
  new Problem('invalid_request', `The body ${detail}.`, { errors: [{ pointer: '', detail }] })
