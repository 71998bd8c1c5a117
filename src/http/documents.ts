import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

interface Document {
  /** A media type. */
  type: string
  /** Sent as it is: all answers share it. */
  content: Buffer
  /** Seconds in which a cache need not ask again. Without it, it always asks. */
  freshSeconds?: number | undefined
  headers?: Record<string, string>
}

/**
 * Serves a document from memory. A client that has it already gets 304 (RFC 9110 §13.1.2). A `Range` is
 * ignored, as RFC 9110 §14.2 allows.
 */
export function serveDocument(app: FastifyInstance, path: string, document: Document) {
  const { type, content, freshSeconds, headers } = document
  const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`
  const all = {
    ...headers,
    ETag: etag,
    'Cache-Control': freshSeconds === undefined ? 'no-cache' : `public, max-age=${freshSeconds}`,
  }
  app.route({
    method: ['GET', 'HEAD'],
    url: path,
    handler: (request, reply) => {
      reply.headers(all)
      return has(request.headers['if-none-match'], etag)
        ? reply.code(304).send()
        : reply.type(type).send(content)
    },
  })
}

/** Whether a list of entity tags has this one, or is `*`. The comparison is the weak one. */
const has = (tags: string | undefined, etag: string) =>
  tags?.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
