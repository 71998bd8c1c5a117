/** The same exchange without accounts, checks or disk: an inbox is an array, and its name is the token. */
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Inbox {
  seq: number
  messages: { seq: number }[]
  waiter: ServerResponse | undefined
}

const inboxes = new Map<string, Inbox>()

const server = createServer((request, response) => {
  const name = request.headers.authorization?.slice('Bearer '.length) ?? ''
  if (request.method === 'POST') {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => send(name, Buffer.concat(chunks).toString(), response))
    return
  }
  const inbox = inboxOf(name)
  const after = Number(/after=(\d+)/.exec(request.url ?? '')?.[1])
  inbox.messages = inbox.messages.filter(({ seq }) => seq > after)
  inbox.waiter = response
  if (inbox.messages.length > 0) wake(inbox)
})

function send(from: string, text: string, response: ServerResponse) {
  const { to, body } = JSON.parse(text) as { to: string; body: string }
  const [id, sentAt] = [randomUUID(), new Date().toISOString()]
  const inbox = inboxOf(to)
  inbox.seq += 1
  inbox.messages.push({ seq: inbox.seq, ...{ id, from, body, sentAt } })
  wake(inbox)
  answer(response, 201, { id, to, sentAt, delivery: 'stored' })
}

function wake(inbox: Inbox) {
  const { messages, seq: cursor, waiter } = inbox
  inbox.waiter = undefined
  if (waiter) answer(waiter, 200, { messages, cursor, hasMore: false })
}

function inboxOf(name: string): Inbox {
  const inbox = inboxes.get(name) ?? { seq: 0, messages: [], waiter: undefined }
  inboxes.set(name, inbox)
  return inbox
}

function answer(response: ServerResponse, status: number, value: unknown) {
  const text = JSON.stringify(value)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
  response.writeHead(status, headers).end(text)
}

// As long as in Restante, so that a client need not reconnect after a pause.
server.keepAliveTimeout = 72_000
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(JSON.stringify({ msg: `Server listening at http://127.0.0.1:${port}` }))
})
