import type { FastifyInstance } from 'fastify'
import type { Contract } from '../contract/document.ts'
import { serveDocument } from './documents.ts'
import { referenceHeaders } from './web-headers.ts'

/** Serves the contract from memory, in the forms that clients, tools and the page at /docs need. */
export function serveContract(app: FastifyInstance, { text, manual, document }: Contract, withPage: boolean) {
  serveDocument(app, '/openapi.yaml', { type: 'application/yaml', content: Buffer.from(text) })
  if (!withPage) return
  const serve = (path: string, type: string, content: string) =>
    serveDocument(app, path, { type, content: Buffer.from(content), headers: referenceHeaders })

  // The same under another name, for tools that import it.
  serve('/docs/yaml', 'application/yaml', text)
  // As plain text, which every browser shows.
  serve('/docs/clients.md', 'text/plain; charset=utf-8', manual)
  serve('/docs/json', 'application/json; charset=utf-8', JSON.stringify(document))
}
