/**
 * Fastify with the same schemas and the same token check as Restante, without a store: it forgets the
 * messages that it accepts, and its pages are in memory.
 */
import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import { JWT_SECRET, usernameOf } from '../support/people.ts'
import { BODY } from '../support/requests.ts'

const INBOX = 10_000
const PAGE = 500

interface Claims {
  sub: string
  exp: number
}

// The modules of the built server.
const load = (file: string) => import(new URL(`../../dist/contract/${file}`, import.meta.url).href)
const { readContract }: typeof import('../../src/contract/document.ts') = await load('document.js')
const { validatorCompiler }: typeof import('../../src/contract/validation.ts') = await load('validation.js')

const { operations } = readContract()
const app = Fastify()
await app.register(jwt, {
  secret: JWT_SECRET,
  verify: { algorithms: ['HS256'], allowedIss: 'restante', allowedAud: 'restante' },
})
app.setValidatorCompiler(validatorCompiler())

const verified = new Map<string, Claims>()
function identify(authorization = ''): Claims {
  const token = authorization.slice('Bearer '.length)
  const claims = verified.get(token) ?? app.jwt.verify<Claims>(token)
  if (claims.exp * 1_000 <= Date.now()) throw new Error('The token has expired.')
  verified.set(token, claims)
  return claims
}

app.route<{ Body: { to: string; body: string } }>({
  method: 'POST',
  url: '/v1/messages',
  onRequest: (request, _reply, done) => {
    identify(request.headers.authorization)
    done()
  },
  schema: schemas('sendMessage', 201),
  handler: async (request, reply) => {
    reply.code(201)
    return { id: randomUUID(), to: request.body.to, sentAt: new Date().toISOString(), delivery: 'stored' }
  },
})

const sentAt = new Date().toISOString()
const inbox = Array.from({ length: INBOX }, (_, index) => {
  return { seq: index + 1, id: randomUUID(), from: usernameOf(index), body: BODY, sentAt }
})
app.route<{ Querystring: { after: string } }>({
  method: 'GET',
  url: '/v1/inbox',
  schema: schemas('readInbox', 200),
  handler: async (request) => {
    const after = Number(request.query.after)
    const messages = inbox.slice(after, after + PAGE)
    const cursor = after + messages.length
    return { messages, cursor, hasMore: cursor < INBOX }
  },
})

console.log(
  JSON.stringify({ msg: `Server listening at ${await app.listen({ host: '127.0.0.1', port: 0 })}` }),
)

/** The schemas of an operation's body and successful answer, from the contract. */
function schemas(operationId: string, status: number) {
  const operation = operations.find((candidate) => candidate.operationId === operationId)
  const response = operation?.responses[status]?.content?.['application/json']?.schema
  if (!response) throw new Error(`The contract has no ${operationId} with ${status}.`)
  return { ...(operation.body && { body: operation.body }), response: { [status]: response } }
}
