import type { FastifyInstance } from 'fastify'
import type { Contract } from '../contract/document.ts'
import { serveDocument } from './documents.ts'
import { referenceHeaders } from './web-headers.ts'

/** Serves openapi.yaml, its JSON and the manual from memory, for clients, tools and the page at /docs. */
export function serveContract(app: FastifyInstance, { text, manual, document }: Contract, withPage: boolean) {
  serveDocument(app, '/openapi.yaml', { type: 'application/yaml', content: Buffer.from(text) })
  if (!withPage) return
  const serve = (path: string, type: string, content: string) =>
    serveDocument(app, path, { type, content: Buffer.from(content), headers: referenceHeaders })

  // A second URL of openapi.yaml, for tools that import it from there.
  serve('/docs/yaml', 'application/yaml', text)
  // As plain text, which every browser displays.
  serve('/docs/clients.md', 'text/plain; charset=utf-8', manual)
  serve('/docs/json', 'application/json; charset=utf-8', JSON.stringify(document))
}
