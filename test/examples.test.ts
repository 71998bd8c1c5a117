import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import Fastify from 'fastify'
import { load } from 'js-yaml'
import { readContract } from '../src/contract/document.ts'
import { DatabaseUnavailable } from '../src/database/database.ts'
import { replyWithProblems } from '../src/http/problem-replies.ts'
import { RequestCounts } from '../src/http/request-counts.ts'
import { invalidInvite, registrationClosed } from '../src/problems.ts'
import { pushDisabled } from '../src/push/subscriptions.ts'
import { Client, passwordOf, range } from './support/client.ts'
import { eventually } from './support/eventually.ts'
import { PUSH } from './support/push.ts'
import { sendRaw } from './support/raw-http.ts'
import { startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { newReceiver } from './support/web-push.ts'

interface ProblemDocument {
  code: string
  detail: string
  errors?: { pointer: string; detail: string }[]
}

const { components } = load(readFileSync(new URL('../openapi.yaml', import.meta.url), 'utf8')) as {
  components: { examples: Record<string, { value: ProblemDocument }> }
}

const NONE: ProblemDocument = { code: '', detail: 'The contract has no such example.' }

/** The time to wait differs each time. */
const withoutWait = (problem: ProblemDocument) => ({
  ...problem,
  detail: problem.detail.replace(/Try again in \d+ s/, 'Try again in N s'),
})

test('each problem example of the contract matches an answer of the server, word for word', async (t) => {
  const server = await startServer(t, { ...PUSH, ...LIMITS })
  const client = new Client(server)
  const [ada, grace, bob] = [await client.join('ada'), await client.join('grace'), await client.join('bob')]
  const body = async (answer: Promise<{ body: ProblemDocument }>) => (await answer).body
  /** Resolves with the last answer. */
  const times = async (count: number, ask: () => Promise<{ body: ProblemDocument }>) => {
    for (let done = 1; done < count; done += 1) await ask()
    return body(ask())
  }
  const message = { to: 'ada', body: 'Hello' }
  const subscription = (endpoint = 'https://127.0.0.1/push/1') => {
    const { p256dh, auth } = newReceiver()
    return { endpoint, keys: { p256dh, auth } }
  }
  const wrong = { current: 'not this one', new: passwordOf('bob') }

  const provoked: Record<string, () => Promise<ProblemDocument>> = {
    invalid_request_body: () =>
      body(client.post('/v1/register', { username: 'Ada', password: 'short', nickname: 'x' })),
    invalid_request_json: () => body(client.post('/v1/register', '{')),
    invalid_request_message: () => body(grace.send('ada', 'x'.repeat(16_385))),
    invalid_request_text: () => body(client.sendText(grace.token, 'ada', 'x'.repeat(16_385))),
    invalid_request_header: () => body(grace.send('ada', 'x', 'two words')),
    invalid_request_query: () => body(ada.request('GET', '/v1/inbox?wait=56')),
    invalid_request_path: () => body(ada.request('GET', '/v1/messages/42')),
    invalid_request_http: () => body(sendRaw(server.url, 'HELO\r\n\r\n')),
    invalid_request_endpoint: () => body(ada.subscribe(subscription('http://127.0.0.1/push/1'))),
    invalid_request_own_name: () => body(ada.block('ada')),
    invalid_credentials: () => body(client.login('ada', { password: 'not this one' })),
    invalid_token: () => body(client.get('/v1/inbox')),
    session_ended: async () => {
      const alan = await client.join('carol')
      await alan.logout()
      return body(alan.poll())
    },
    account_disabled: async () => {
      await client.register('dora')
      await server.operator.administration.disable('dora')
      return body(client.login('dora'))
    },
    invalid_invite: () => problemOf(invalidInvite()),
    registration_closed: () => problemOf(registrationClosed()),
    push_disabled: () => problemOf(pushDisabled()),
    blocked: async () => {
      await ada.block('bob')
      const problem = await body(bob.send('ada', 'Hello'))
      await ada.unblock('bob')
      return problem
    },
    insufficient_scope: async () => {
      const { token } = (await ada.createToken()).body
      return body(client.get('/v1/inbox', { token }))
    },
    wrong_password: () => body(bob.request('PUT', '/v1/me/password', { body: wrong })),
    not_found: () => body(ada.status('01a20779-7500-71c9-b0a4-e83d57f2094b')),
    session_not_found: () => body(ada.endSession('q5Wq2oJH0sN1mXc7rT9uKA')),
    subscription_not_found: () => body(ada.unsubscribe('0c6a8f24-9b1d-4e77-a3c5-51d2f08e6b93')),
    recipient_not_found: () => body(ada.send('alan', 'Hello')),
    user_not_found: () => body(ada.user('alan')),
    already_online: async () => {
      const poll = ada.poll({ wait: 55 })
      await eventually('ada is online', async () => (await grace.user('ada')).body.online === true)
      const problem = await body(client.login('ada'))
      await grace.sendMany('ada', 1)
      await poll
      return problem
    },
    cursor_ahead: async () => {
      await grace.sendMany('ada', 41)
      return body(ada.poll({ after: 43 }))
    },
    endpoint_taken: async () => {
      await bob.subscribe(subscription())
      return body(grace.subscribe(subscription()))
    },
    too_many_subscriptions: () => {
      let port = 9_000
      return times(11, () => grace.subscribe(subscription(`https://127.0.0.1:${++port}/push`)))
    },
    too_many_unread: () => body(grace.send('ada', 'Hello')),
    inbox_full: () => times(2, () => bob.send('ada', 'Hello')),
    too_many_blocks: async () => {
      await fillBlocks(server.database)
      return body(ada.block('grace'))
    },
    too_many_tokens: () => times(101, () => grace.createToken()),
    username_taken: () => body(client.register('ada')),
    body_too_large: () => body(client.post('/v1/login', ' '.repeat(1_000_000))),
    unsupported_media_type: () =>
      body(
        grace.request('POST', '/v1/messages', { body: 'Hello', headers: { 'content-type': 'text/html' } }),
      ),
    unsupported_media_type_text: () =>
      body(
        grace.request('POST', '/v1/users/ada/messages', {
          body: 'Hello',
          headers: { 'content-type': 'utf-8' },
        }),
      ),
    idempotency_key_reused: async () => {
      await ada.request('POST', '/v1/messages', { body: { ...message, to: 'bob' }, headers: KEY })
      return body(ada.request('POST', '/v1/messages', { body: { to: 'bob', body: 'Other' }, headers: KEY }))
    },
    rate_limited: async () => {
      // At once: one after the other may be slow enough to be allowed.
      const answers = await Promise.all(range(1, 80).map(() => ada.unblock('grace')))
      return answers.find(({ status }) => status === 429)?.body ?? NONE
    },
    too_many_attempts: () => times(12, () => client.login('bob', { password: 'not this one' })),
    internal_error: () => problemOf(new Error('Nobody has foreseen this.')),
    overloaded: () => problemOf(new DatabaseUnavailable('It is gone.')),
  }

  // In this order, because some depend on earlier ones.
  for (const [name, provoke] of Object.entries(provoked))
    await t.test(name, async () => {
      assert.deepEqual(withoutWait(await provoke()), withoutWait(components.examples[name]?.value ?? NONE))
    })
  await t.test('and there is no other example', () => {
    assert.deepEqual(Object.keys(components.examples).sort(), Object.keys(provoked).sort())
  })
})

const LIMITS = { RATE_LIMITS: 'on', SENDER_LIMIT: '42', INBOX_LIMIT: '43' }

const KEY = { 'Idempotency-Key': '8e03978e-40d5-43dd-bc93-6894a57f9324' }

/** Creates as many accounts as Ada may block, all blocked by her. */
const fillBlocks = (database: string) =>
  withSql(database, async ({ run }) => {
    const numbers = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)'
    await run(
      `INSERT INTO account (username, display_name, password_hash, created_at)
       ${numbers} SELECT 'crowd-' || i, '', '', account.created_at FROM n, account WHERE username = 'ada'`,
    )
    await run(
      `INSERT INTO block (account_id, blocked_id, created_at)
       SELECT ada.id, crowd.id, ada.created_at FROM account AS ada, account AS crowd
        WHERE ada.username = 'ada' AND crowd.username LIKE 'crowd-%'`,
    )
  })

/** The answer when a handler fails with this error. */
async function problemOf(fault: Error): Promise<ProblemDocument> {
  const app = Fastify()
  replyWithProblems(app, readContract(), true, new RequestCounts())
  app.get('/fault', () => Promise.reject(fault))
  const answer = await app.inject('/fault')
  await app.close()
  return answer.json()
}
