import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { Contract } from '../contract/document.ts'

/** The page needs nothing from elsewhere, and works over plain HTTP from another machine too. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'"

/** Serves the contract byte for byte, and a page at /docs that shows it and can try it out. */
export async function serveApiReference(app: FastifyInstance, { text, document }: Contract) {
  app.get('/openapi.yaml', (_request, reply) => reply.type('application/yaml').send(text))
  // What is tried out goes to the server that shows the page, wherever that is: the policy above allows no
  // other.
  const hereAsServer = { ...document, servers: [{ url: '/', description: 'This server.' }] }
  await app.register(swagger, { mode: 'static', specification: { document: hereAsServer } })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Its badge would ask a server on the internet whether the contract is valid.
    uiConfig: { validatorUrl: null },
    theme: { title: 'Restante' },
    staticCSP: CONTENT_SECURITY_POLICY,
  })
}
