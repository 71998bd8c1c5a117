import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import createClient from 'openapi-fetch'
import type { components, paths } from '../src/generated/openapi.d.ts'
import { assertInContract } from './support/contract-check.ts'
import { eventually } from './support/eventually.ts'
import { startServer } from './support/servers.ts'

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

type Api = ReturnType<typeof createClient<paths>>
type Message = components['schemas']['Message']

/** A client generated from the contract; its answers are checked against the contract. */
function connect(url: string, token?: string): Api {
  return createClient<paths>({
    baseUrl: url,
    ...(token && { headers: { authorization: `Bearer ${token}` } }),
    fetch: async (request) => {
      const response = await fetch(request)
      const copy = response.clone()
      const json = /json/.test(copy.headers.get('content-type') ?? '')
      const body = json ? await copy.json() : await copy.text()
      const { pathname, search } = new URL(request.url)
      assertInContract(request.method, pathname + search, {
        status: copy.status,
        headers: copy.headers,
        body,
      })
      return response
    },
  })
}

/** The data of an answer that must have some. */
function got<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): T {
  assert.ok(response.ok, JSON.stringify(error))
  return data as T
}

test('a client generated from the contract does everything that two users need', async (t) => {
  const { url } = await startServer(t)
  const stranger = connect(url)
  assert.deepEqual(got(await stranger.GET('/healthz')), { status: 'ok', version })
  assert.deepEqual(got(await stranger.GET('/readyz')), { status: 'ready' })

  const password = 'analytical engine no. 1'
  const ada = got(
    await stranger.POST('/v1/register', { body: { username: 'Ada', password, displayName: 'Ada Lovelace' } }),
  )
  assert.equal(ada.username, 'ada')
  const graceSecret = { username: 'grace', password: 'a nanosecond of wire' }
  got(await stranger.POST('/v1/register', { body: graceSecret }))
  const grace = connect(url, got(await stranger.POST('/v1/login', { body: graceSecret })).token)

  // Ada is offline: the message is kept for her.
  const away = await grace.POST('/v1/messages', {
    body: { to: 'ada', body: 'Are you there?' },
    params: { header: { 'Idempotency-Key': 'first-message' } },
  })
  assert.equal(got(away).delivery, 'stored')
  const status = (id: string) => grace.GET('/v1/messages/{id}', { params: { path: { id } } })
  assert.equal(got(await status(got(away).id)).state, 'stored')

  // She logs in and gets it.
  const session = got(await stranger.POST('/v1/login', { body: { username: 'ada', password } }))
  const [offline] = session.offlineMessages as [Message]
  assert.deepEqual([offline.seq, offline.from, offline.body], [1, 'grace', 'Are you there?'])

  // She waits for more, which acknowledges the first.
  const adaApi = connect(url, session.token)
  const poll = adaApi.GET('/v1/inbox', { params: { query: { after: session.cursor, wait: 30 } } })
  const lookUp = async () =>
    got(await grace.GET('/v1/users/{username}', { params: { path: { username: 'ada' } } }))
  await eventually('ada is online', async () => (await lookUp()).online === true)
  assert.equal((await lookUp()).displayName, 'Ada Lovelace')
  const live = got(await grace.POST('/v1/messages', { body: { to: 'ada', body: 'I found a moth.' } }))
  assert.equal(live.delivery, 'live')
  const page = got(await poll)
  assert.deepEqual(
    page.messages.map(({ seq, body }) => [seq, body]),
    [[2, 'I found a moth.']],
  )
  assert.equal(got(await status(got(away).id)).state, 'delivered')

  // She acknowledges and answers; Grace sees both.
  got(await adaApi.POST('/v1/inbox/ack', { body: { cursor: page.cursor } }))
  assert.equal(got(await status(live.id)).state, 'delivered')
  got(await adaApi.POST('/v1/messages', { body: { to: 'grace', body: 'Tape it into the log.' } }))
  const answer = got(await grace.GET('/v1/inbox', { params: { query: { wait: 0, limit: 10 } } }))
  assert.equal(answer.messages[0]?.body, 'Tape it into the log.')

  // A refusal is typed like everything else.
  const refused = await grace.POST('/v1/messages', { body: { to: 'alan', body: 'Hello?' } })
  assert.equal(refused.error?.code, 'recipient_not_found')

  // A fresh token, another password, the end of the session, the end of the account.
  const renewed = connect(url, got(await adaApi.POST('/v1/token')).token)
  got(await renewed.PUT('/v1/me/password', { body: { current: password, new: 'difference engine no. 2' } }))
  got(await renewed.POST('/v1/logout'))
  const afterLogout = await renewed.GET('/v1/inbox')
  assert.equal(afterLogout.error?.code, 'session_ended')

  const changed = { username: 'ada', password: 'difference engine no. 2' }
  const last = connect(url, got(await stranger.POST('/v1/login', { body: changed })).token)
  got(await last.POST('/v1/me/delete', { body: { password: changed.password } }))
  const afterDeletion = await grace.GET('/v1/users/{username}', { params: { path: { username: 'ada' } } })
  assert.equal(afterDeletion.error?.code, 'user_not_found')
})
