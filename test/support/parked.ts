import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { Person } from './client.ts'
import { type Answer, assertInContract } from './contract-check.ts'
import { eventually } from './eventually.ts'
import { headersOf } from './http.ts'

/** A parked poll on a connection of its own, which the test may break. */
export interface ParkedPoll {
  socket: Socket
  /** Resolves when the answer begins to arrive; its body is not read yet. */
  answered: Promise<IncomingMessage>
  /** Resolves with the final answer, checked against the contract. */
  answer: () => Promise<Answer>
}

/**
 * Polls, and resolves when the poll is parked on the server.
 *
 * @param person of an account that is offline: while it is online, another poll cannot be noticed
 * @param query of GET /v1/inbox, such as `after=7`
 */
export async function park(
  t: TestContext,
  person: Person,
  query = '',
  headers: Record<string, string> = {},
): Promise<ParkedPoll> {
  const path = `/v1/inbox?${query}`
  const request = get(`${person.client.url}${path}`, {
    agent: false,
    // Acknowledges like every client that polls again.
    headers: { connection: 'keep-alive', authorization: `Bearer ${person.token}`, ...headers },
  })
  t.after(() => request.destroy())
  const answered = once(request, 'response').then(([response]) => response as IncomingMessage)
  // A test that breaks the connection expects no answer.
  answered.catch(() => {})

  const [socket] = (await once(request, 'socket')) as [Socket]
  if (socket.connecting) await once(socket, 'connect')
  // A poll with away can be noticed only by its acknowledgement, so tests let it acknowledge something.
  const [, after] = /after=(\d+).*away=true/.exec(query) ?? []
  await eventually('the poll waits', async () =>
    after === undefined
      ? (await person.user(person.username)).body.online
      : (await person.me()).body.inbox.acknowledged >= Number(after),
  )
  // The poll has read first. SQLite answers in order; on PostgreSQL this check takes several statements.
  await person.user(person.username)
  let read: Promise<Answer> | undefined
  const answer = () => {
    read ??= readAnswer(path, answered)
    return read
  }
  return { socket, answered, answer }
}

async function readAnswer(path: string, answered: Promise<IncomingMessage>): Promise<Answer> {
  const response = await answered
  const headers = headersOf(response.headers)
  const answer = { status: response.statusCode ?? 0, headers, body: JSON.parse(await text(response)) }
  assertInContract('GET', path, answer)
  return answer
}

/**
 * The answer to a poll, or to its repeat after a 503: a database that has just come back may fail once more.
 */
export async function orAgain(poll: ParkedPoll, person: Person, query: string): Promise<Answer['body']> {
  let answer = await poll.answer()
  await eventually('a poll is answered', async () => {
    if (answer.status === 503) answer = await person.request('GET', `/v1/inbox?${query}`)
    return answer.status !== 503
  })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body
}
