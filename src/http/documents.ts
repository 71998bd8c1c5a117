import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

/** Content codings, the better one first. */
const CODINGS = ['br', 'gzip'] as const
export type Coding = (typeof CODINGS)[number]

export interface Document {
  /** A media type. */
  type: string
  /** Shared by all responses. */
  content: Buffer
  /** The same content, compressed. */
  compressed?: Partial<Record<Coding, Buffer>>
  /** Whether its path changes with its content, so caches never revalidate it. Otherwise they always do. */
  immutable?: boolean
  headers?: Record<string, string>
}

/**
 * Serves a document from memory, compressed if accepted. A client with the current version gets 304 (RFC 9110
 * §13.1.2). `Range` is ignored, as RFC 9110 §14.2 allows.
 */
export function serveDocument(app: FastifyInstance, path: string, document: Document) {
  const { type, content, compressed = {}, immutable, headers } = document
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 22)
  const all = {
    ...headers,
    'Cache-Control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  }
  const codings = CODINGS.filter((coding) => compressed[coding])
  app.route({
    method: ['GET', 'HEAD'],
    url: path,
    handler: (request, reply) => {
      const accepted = request.headers['accept-encoding'] ?? ''
      const coding = codings.find((name) => takes(accepted, name))
      // RFC 9110 §8.8.3.3: each coding has its own tag.
      const etag = coding ? `"${hash}-${coding}"` : `"${hash}"`
      reply.headers(all).header('ETag', etag)
      if (codings.length > 0)
        reply.header('Vary', [reply.getHeader('Vary'), 'Accept-Encoding'].filter(Boolean).join(', '))
      if (has(request.headers['if-none-match'], etag)) return reply.code(304).send()
      if (coding) reply.header('Content-Encoding', coding)
      return reply.type(type).send(coding ? compressed[coding] : content)
    },
  })
}

/** Whether a list of entity tags contains this one (weak comparison), or is `*`. */
const has = (tags: string | undefined, etag: string) =>
  tags?.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))

/** Whether an `Accept-Encoding` accepts a coding by name (RFC 9110 §12.5.3). */
const takes = (accepted: string, coding: Coding) =>
  accepted.split(',').some((entry) => {
    const [name = '', ...parameters] = entry.toLowerCase().split(';')
    return name.trim() === coding && !parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/.test(parameter))
  })
