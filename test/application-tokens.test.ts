import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { ApplicationTokens } from '../src/accounts/application-tokens.ts'
import { readContract } from '../src/contract/document.ts'
import { adaAndBob, Client, type Person, passwordOf, range } from './support/client.ts'
import { assertInContract } from './support/contract-check.ts'
import { newDatabase, onPostgres, scratchFolder } from './support/databases.ts'
import { eventually } from './support/eventually.ts'
import { exchange } from './support/http.ts'
import { startLossyWay } from './support/lossy-way.ts'
import { at, startNodes } from './support/nodes.ts'
import { notify } from './support/notices.ts'
import { shareServer, startServer } from './support/servers.ts'
import { withSql } from './support/sql.ts'
import { stored } from './support/stored.ts'

const server = shareServer()

const createToken = (owner: Person, body: Record<string, unknown> = { name: 'door bell' }) =>
  owner.request('POST', '/v1/me/tokens', { body })

const tokenOf = async (owner: Person): Promise<string> => (await createToken(owner)).body.token

const sendText = (client: Client, token: string, to: Person, text: string, headers = {}) =>
  client.request('POST', `/v1/users/${to.username}/messages`, {
    token,
    body: text,
    headers: { 'content-type': 'text/plain', ...headers },
  })

const bodiesOf = (messages: { body: string }[]) => messages.map(({ body }) => body)

/** Looks as if it were one of this server, but nobody was given it. */
function forgedToken(n = 1) {
  const secret = n.toString(16).padStart(64, '0')
  return `rst_${secret}${crc32(secret).toString(16).padStart(8, '0')}`
}

describe('an application token', () => {
  it('is shown once, when it is made, and the store has only its hash', async () => {
    const { url, database } = await server()
    const { ada } = await adaAndBob({ url })

    const { status, body } = await createToken(ada, { name: 'Türklingel', expiresIn: 3_600 })
    const { token, ...shown } = body
    const later = await createToken(ada)

    assert.equal(status, 201)
    assert.match(token, /^rst_[0-9a-f]{72}$/)
    assert.deepEqual(Object.keys(shown), ['id', 'name', 'scope', 'createdAt', 'expiresAt'])
    assert.deepEqual([shown.name, shown.scope], ['Türklingel', 'send'])
    assert.equal(Date.parse(shown.expiresAt) - Date.parse(shown.createdAt), 3_600_000)
    assert.equal('expiresAt' in later.body, false)
    const { tokens } = (await ada.request('GET', '/v1/me/tokens')).body
    assert.deepEqual(tokens[0], shown)
    assert.deepEqual([tokens.length, tokens[1].id], [2, later.body.id])
    const rows = (await stored(database))['application_token'] ?? []
    const { hash } = rows.find(({ id }) => id === shown.id) as { hash: Uint8Array }
    assert.equal(Buffer.from(hash).toString('hex'), createHash('sha256').update(token).digest('hex'))
    assert.ok(!JSON.stringify(rows).includes(token.slice(4)))
  })

  it('sends, as JSON and as text, and sees the state of what it sent', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)

    const json = await client.post('/v1/messages', { to: bob.username, body: 'one' }, { token })
    const text = await sendText(client, token, bob, 'two')

    assert.deepEqual([json.status, text.status], [201, 201])
    const { messages } = (await bob.poll({ wait: 0 })).body
    assert.deepEqual(bodiesOf(messages), ['one', 'two'])
    assert.deepEqual(new Set(messages.map(({ from }: { from: string }) => from)), new Set([ada.username]))
    const { status, body } = await client.get(`/v1/messages/${text.body.id}`, { token })
    assert.deepEqual([status, body.state], [200, 'stored'])
  })

  it('is refused by every operation that does not say that it takes one', async () => {
    const { client, ada } = await adaAndBob(await server())
    const token = await tokenOf(ada)
    const operations = readContract(16_384).operations.filter(({ authenticated }) => authenticated)
    const refused: string[] = []

    for (const { operationId, method, path } of operations) {
      const concrete = path
        .replace('{username}', ada.username)
        .replace('{id}', '01a20779-7500-71c9-b0a4-e83d57f2094b')
      const { status, body, headers } = await client.request(method, concrete, { token })
      if (status !== 403) continue
      assert.equal(body.code, 'insufficient_scope', operationId)
      assert.equal(headers.get('www-authenticate'), 'Bearer error="insufficient_scope"', operationId)
      refused.push(operationId)
    }

    const taking = ['sendMessage', 'sendText', 'getMessageStatus']
    assert.deepEqual(
      refused,
      operations.map(({ operationId }) => operationId).filter((id) => !taking.includes(id)),
    )
    assert.equal((await ada.user(ada)).body.online, false, 'It makes nobody online.')
    assert.equal((await client.get('/v1/inbox', { token: forgedToken() })).body.code, 'invalid_token')
  })

  it('outlives a new password and the end of every session', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)

    const passwords = { current: passwordOf(ada.username), new: 'a password that is new' }
    await ada.request('PUT', '/v1/me/password', { body: passwords })
    await ada.logout()

    assert.equal((await sendText(client, token, bob, 'still here')).status, 201)
  })

  it('is dead from the answer on when it is revoked, and only its owner can do that', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const { id, token } = (await createToken(ada)).body
    const other = await tokenOf(ada)
    await sendText(client, token, bob, 'before')
    const revoke = (owner: Person, name: string) => owner.request('DELETE', `/v1/me/tokens/${name}`)

    assert.equal((await revoke(bob, id)).body.code, 'not_found')
    assert.equal((await sendText(client, token, bob, 'before')).status, 201)
    assert.equal((await revoke(ada, id.toUpperCase())).status, 204)

    const refused = await sendText(client, token, bob, 'after')
    assert.deepEqual([refused.status, refused.body.code], [401, 'invalid_token'])
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer error="invalid_token"')
    assert.equal((await revoke(ada, id)).body.code, 'not_found')
    assert.equal((await revoke(ada, 'no-uuid')).status, 400)
    assert.equal((await sendText(client, other, bob, 'the other one')).status, 201)
  })

  it('ends with its account', async () => {
    const { url, database } = await server()
    const { client, ada, bob } = await adaAndBob({ url })
    const { id, token } = (await createToken(ada)).body
    await sendText(client, token, bob, 'before')
    await ada.request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })

    assert.equal((await sendText(client, token, bob, 'after')).body.code, 'invalid_token')
    assert.ok(!JSON.stringify((await stored(database))['application_token']).includes(id))
  })

  it('is refused once it has expired, and not before', async () => {
    const { url, database } = await server()
    const { client, ada, bob } = await adaAndBob({ url })
    const { id, token } = (await createToken(ada, { name: 'short', expiresIn: 1 })).body
    const unused = (await createToken(ada, { name: 'unused', expiresIn: 3_600 })).body
    const set = 'UPDATE application_token SET expires_at = ? WHERE id = ?'
    await withSql(database, ({ run }) => run(set, new Date(Date.now() - 1_000), unused.id))

    await eventually('a second has passed', async () => {
      const { status, body } = await sendText(client, token, bob, 'tick')
      if (status === 201) return false
      assert.deepEqual([status, body.code], [401, 'invalid_token'])
      return true
    })
    assert.equal((await sendText(client, unused.token, bob, 'tock')).body.code, 'invalid_token')
    const { tokens } = (await ada.request('GET', '/v1/me/tokens')).body
    assert.deepEqual(
      tokens.map((token: { id: string }) => token.id),
      [id, unused.id],
    )
  })

  it('tells its owner when it was last used', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const token = await tokenOf(ada)
    const lastUsedAt = async () => (await ada.request('GET', '/v1/me/tokens')).body.tokens[0].lastUsedAt
    assert.equal(await lastUsedAt(), undefined)
    const { sentAt } = (await sendText(client, token, bob, 'now')).body

    await eventually('the use is written', async () => (await lastUsedAt()) !== undefined)
    const first = await lastUsedAt()
    assert.ok(first <= sentAt)
    await sendText(client, token, bob, 'again')
    assert.equal(await lastUsedAt(), first, 'It is written once an hour.')
  })

  it('has a name, and every fault in how it is asked for is 400', async () => {
    const { ada } = await adaAndBob(await server())
    const faults = [{}, { name: '' }, { name: 'x'.repeat(65) }, { name: 7 }]
    const lives = [0, -1, 1.5, '60', 315_360_001].map((expiresIn) => ({ name: 'a', expiresIn }))
    for (const body of [...faults, ...lives, { name: 'a', scope: 'send' }]) {
      const answer = await createToken(ada, body)
      assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_request'], JSON.stringify(body))
    }
    assert.deepEqual((await ada.request('GET', '/v1/me/tokens')).body, { tokens: [] })
  })

  it('is one of a hundred; one that has expired makes room', async () => {
    const { url, database } = await server()
    const { ada } = await adaAndBob({ url })

    const answers = await Promise.all(range(1, 101).map((n) => createToken(ada, { name: `${n}` })))

    const refused = answers.filter(({ status }) => status !== 201)
    assert.deepEqual(
      refused.map(({ status, body }) => [status, body.code]),
      [[409, 'too_many_tokens']],
    )
    const { id } = answers.find(({ status }) => status === 201)?.body ?? {}
    const set = 'UPDATE application_token SET expires_at = created_at WHERE id = ?'
    await withSql(database, ({ run }) => run(set, id))
    assert.equal((await createToken(ada)).status, 201)
    assert.equal((await createToken(ada)).body.code, 'too_many_tokens')
  })

  it('is refused at every node when one has revoked it, or deleted its account', async (t) => {
    const database = await newDatabase(t)
    const nodes = onPostgres ? await startNodes(t, database) : [await startServer(t, {}, database)]
    const [here, there = here] = nodes
    assert.ok(here && there)
    const { client, ada, bob } = await adaAndBob(here)
    const [first, second] = [(await createToken(ada)).body, (await createToken(ada)).body]
    const elsewhere = new Client(there)
    for (const { token } of [first, second])
      for (const node of [client, elsewhere])
        assert.equal((await sendText(node, token, bob, 'before')).status, 201)

    await ada.request('DELETE', `/v1/me/tokens/${first.id}`)
    assert.equal((await sendText(elsewhere, first.token, bob, 'after')).status, 401)
    assert.equal((await sendText(elsewhere, second.token, bob, 'before')).status, 201)
    await at(there, ada).request('POST', '/v1/me/delete', { body: { password: passwordOf(ada.username) } })
    assert.equal((await sendText(client, second.token, bob, 'after')).status, 401)
  })

  it('that nobody has is looked up so often from one address, and others go on', async (t) => {
    const { url } = await startServer(t, { RATE_LIMITS: 'on' })
    const { client, ada, bob } = await adaAndBob({ url })
    const [known, unknown] = [await tokenOf(ada), await tokenOf(ada)]
    await sendText(client, known, bob, 'known here')

    const answers: string[] = []
    for (const n of range(1, 400)) {
      const { status, headers } = await sendText(client, forgedToken(n), bob, 'forged')
      if (status === 429) assert.ok(Number(headers.get('retry-after')) >= 1)
      answers.push(String(status))
      if (status === 429) break
    }
    assert.ok(answers.length > 100, String(answers.length))
    assert.deepEqual(new Set(answers), new Set(['401', '429']))
    assert.equal((await sendText(client, known, bob, 'as before')).status, 201)
    assert.equal((await sendText(client, `${known.slice(0, -1)}x`, bob, 'typo')).status, 401)
    assert.equal((await bob.poll({ wait: 0 })).status, 200)
    await eventually('one that is not in memory is looked up again', async () => {
      const { status, body } = await sendText(client, unknown, bob, 'for the first time')
      assert.ok(status === 201 || body.code === 'rate_limited')
      return status === 201
    })
  })
})

describe('the memory of application tokens', () => {
  const owner = { accountId: 1, username: 'ada' }
  const address = () => ({ key: '127.0.0.1', network: undefined })
  const setUp = (lease?: { holds: boolean }) => {
    const looked: string[] = []
    const state = { onFind: async () => {}, looked, found: true, uses: 0 }
    const database: ConstructorParameters<typeof ApplicationTokens>[0] = {
      createToken: async () => 'created',
      listTokens: async () => [],
      revokeToken: async () => true,
      noteTokenUse: async () => {
        state.uses += 1
      },
      findToken: async (hash) => {
        const id = Buffer.from(hash).toString('hex')
        looked.push(id)
        const found = state.found
        await state.onFind()
        return found ? { ...owner, id, expiresAtMs: undefined, lastUsedAtMs: undefined } : undefined
      },
    }
    const limits = { findToken: <T>(_: unknown, find: () => Promise<T>) => find() }
    return Object.assign(state, { tokens: new ApplicationTokens(database, limits, Date.now, lease) })
  }

  it('spares the store: a token is looked up once, and its use written once', async () => {
    const state = setUp()
    for (const _ of range(1, 100)) await state.tokens.identify(forgedToken(), address)
    assert.deepEqual([state.looked.length, state.uses], [1, 1])
  })

  it('looks nothing up that is cut, mistyped or written in other letters', async () => {
    const { tokens, looked } = setUp()
    const good = forgedToken(10)
    const typos = [good.slice(0, -1), `${good}0`, good.replace('a', 'b'), good.toUpperCase(), 'rst_', '']
    for (const typo of typos) await assert.rejects(async () => tokens.identify(typo, address), /not one of/)
    assert.deepEqual(looked, [])
  })

  it('does not remember a token that is revoked while it is looked up', async () => {
    const state = setUp()
    state.onFind = async () => {
      state.found = false
      state.tokens.forget([])
    }
    await state.tokens.identify(forgedToken(), address)
    await assert.rejects(async () => state.tokens.identify(forgedToken(), address), /revoked/)
  })

  it('is not believed while the node hears nothing, and holds so many', async () => {
    const lease = { holds: false }
    const { tokens, looked } = setUp(lease)
    for (const _ of range(1, 3)) await tokens.identify(forgedToken(), address)
    assert.equal(looked.length, 3)
    lease.holds = true
    for (const n of range(1, 10_001)) await tokens.identify(forgedToken(n), address)
    await tokens.identify(forgedToken(10_001), address)
    assert.equal(looked.length, 3 + 10_001)
    await tokens.identify(forgedToken(1), address)
    assert.equal(looked.length, 3 + 10_002)
  })
})

describe('a text that is sent as it is', () => {
  it('arrives as it is, however it is called', async () => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const path = `/v1/users/${bob.username.toUpperCase()}/messages`
    const texts = {
      'text/plain': 'a newline at the end\n',
      'text/plain; charset=utf-8': '  Grüße, 👩🏽‍🚀\r\n\t',
      'TEXT/PLAIN;Charset="UTF-8"': '\ufeffwith its mark',
      'application/x-www-form-urlencoded': 'a=1&b=%20+%zz',
      'text/plain ; charset=utf8': '{"to": "nobody"}',
      '': 'no type at all',
    }
    for (const [type, text] of Object.entries(texts)) {
      const headers = { authorization: `Bearer ${ada.token}`, ...(type && { 'content-type': type }) }
      const answer = await exchange(url + path, 'POST', headers, Buffer.from(text), undefined)
      const body = JSON.parse(answer.text)
      assertInContract('POST', path, { ...answer, body })
      assert.deepEqual([answer.status, body.to], [201, bob.username], type)
      assert.equal(answer.headers.get('location'), `/v1/messages/${body.id}`)
    }
    assert.deepEqual(bodiesOf((await bob.poll({ wait: 0 })).body.messages), Object.values(texts))
  })

  it('is refused when it is empty, too long, no UTF-8, or called something else', async () => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const path = `/v1/users/${bob.username}/messages`
    const send = (body: string | Uint8Array | undefined, headers: Record<string, string> = {}) =>
      ada.request('POST', path, { body, headers: { 'content-type': 'text/plain', ...headers } })

    assert.equal((await send('x'.repeat(16_384))).status, 201)
    for (const [text, detail] of [
      ['', /./],
      [undefined, /./],
      ['x'.repeat(16_385), /16384/],
      ['a\0b', /U\+0000/],
      [Uint8Array.of(0x61, 0xff), /UTF-8/],
      [Uint8Array.of(0xed, 0xa0, 0x80), /UTF-8/],
    ] as const) {
      const { status, body } = await send(text)
      assert.deepEqual([status, body.code, body.errors[0].pointer], [400, 'invalid_request', ''])
      assert.match(body.detail, detail)
    }
    assert.equal((await send('😀'.repeat(16_385))).body.code, 'body_too_large')
    for (const type of [
      'application/json',
      'multipart/form-data',
      'text/plain; charset=latin1',
      'text/html',
    ]) {
      const { status, body } = await send('a', { 'content-type': type })
      assert.deepEqual([status, body.code], [415, 'unsupported_media_type'], type)
    }
    const json = await ada.request('POST', '/v1/messages', {
      body: 'plain',
      headers: { 'content-type': 'text/plain' },
    })
    assert.equal(json.status, 415, 'Other operations take no text.')
    assert.equal((await ada.request('GET', path)).headers.get('allow'), 'POST')
    assert.equal((await bob.poll({ wait: 0 })).body.messages.length, 1)
  })

  it('is stored once with one key, as a message of JSON is', async () => {
    const { client, ada, bob } = await adaAndBob(await server())
    const key = { 'idempotency-key': 'text-1' }

    const first = await sendText(client, ada.token, bob, 'once', key)
    const again = await sendText(client, await tokenOf(ada), bob, 'once', key)
    const asJson = await ada.send(bob, 'once', 'text-1')
    const other = await sendText(client, ada.token, bob, 'twice', key)

    assert.deepEqual([again.body, asJson.body], [first.body, first.body])
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused'])
    assert.equal((await sendText(client, ada.token, bob, 'x', { 'idempotency-key': '"' })).status, 400)
    const nobody = await ada.request('POST', '/v1/users/nobody/messages', {
      body: 'a',
      headers: { 'content-type': 'text/plain' },
    })
    assert.deepEqual([nobody.status, nobody.body.code], [404, 'recipient_not_found'])
    await bob.block(ada)
    assert.equal((await sendText(client, ada.token, bob, 'blocked')).body.code, 'blocked')
    assert.equal((await client.post(`/v1/users/${bob.username}/messages`)).status, 401)
  })
})

describe('examples/notify.sh', { concurrency: 2, timeout: 600_000 }, () => {
  it('sends for eight devices of one account at once, and disturbs neither its phone nor its mail', async (t) => {
    const { url } = await server()
    const { ada: owner, bob: phone } = await adaAndBob({ url })
    const unread = await owner.sendMany(phone, 2)
    const tokens = await Promise.all(range(1, 4).map(() => tokenOf(phone)))

    const runs = await Promise.all(
      range(1, 8).map((n) => {
        const env = { RESTANTE_URL: url, RESTANTE_TOKEN: tokens[n % 4] ?? '' }
        return notify(t, { args: [owner.username, `device ${n}`], env })
      }),
    )

    assert.deepEqual(
      runs.filter(({ code }) => code !== 0),
      [],
    )
    const { messages } = (await owner.poll({ wait: 0 })).body
    assert.deepEqual(
      bodiesOf(messages).sort(),
      range(1, 8).map((n) => `device ${n}`),
    )
    assert.equal((await owner.user(phone)).body.online, false)
    assert.equal((await owner.status(unread[1] ?? '')).body.state, 'stored')
    const mail = (await phone.poll({ wait: 0 })).body.messages
    assert.deepEqual(
      mail.map(({ id }: { id: string }) => id),
      unread,
    )
  })

  it('sends once what it has to repeat, waits as it is told, and shows its token to nobody', async (t) => {
    const { url } = await server()
    const { ada, bob } = await adaAndBob({ url })
    const way = await startLossyWay(t, url)
    way.losses.push(
      { request: /messages/, loss: 'connection' },
      { request: /messages/, loss: { status: 503, retryAfterSeconds: 3 } },
    )
    const folder = scratchFolder(t)
    const token = await tokenOf(ada)
    writeFileSync(join(folder, 'token'), token)
    // As `ps` would show it.
    const spy = `#!/bin/sh\nprintf '%s\\n' "$@" >>'${folder}/args'\nPATH=\${PATH#*:} exec curl "$@"\n`
    writeFileSync(join(folder, 'curl'), spy, { mode: 0o755 })
    const text = '@home: "50 %" of $HOME\\n\n'

    const { code, said } = await notify(t, {
      args: [bob.username],
      env: { RESTANTE_URL: way.url, RESTANTE_TOKEN_FILE: join(folder, 'token') },
      input: text,
      folder,
    })

    assert.deepEqual([code, said], [0, ''])
    assert.deepEqual(bodiesOf((await bob.poll({ wait: 0 })).body.messages), [text])
    assert.equal(new Set(way.requests.map(({ key }) => key)).size, 1)
    const [, second, third] = way.requests.map(({ atMs }) => atMs)
    assert.ok((third ?? 0) - (second ?? 0) >= 3_000)
    const args = readFileSync(join(folder, 'args'), 'utf8')
    assert.match(args, /Idempotency-Key/)
    assert.ok(!args.includes('rst_'))
  })

  it('says so, and exits with another number than 0, when it has not sent', async (t) => {
    const { url } = await server()
    const { ada } = await adaAndBob({ url })
    const env = { RESTANTE_URL: url, RESTANTE_TOKEN: await tokenOf(ada) }
    const gone = await startLossyWay(t, url)
    gone.losses.push({ request: /messages/, loss: { status: 503, retryAfterSeconds: 120 } })
    for (const [args, more, reason] of [
      [['nobody', 'text'], {}, /404 There is nobody/],
      [[ada.username, ''], {}, /400/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: forgedToken() }, /401/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: '' }, /Set RESTANTE_TOKEN/],
      [[ada.username, 'text'], { RESTANTE_TOKEN: 'a"\nurl = "b' }, /not an application token/],
      [[ada.username, 'text'], { RESTANTE_URL: 'http://127.0.0.1:1', RESTANTE_PATIENCE: '0' }, /000/],
      [[ada.username, 'text'], { RESTANTE_URL: gone.url, RESTANTE_PATIENCE: '100' }, /503/],
      [['../me'], {}, /Nobody can have the name/],
      [[], {}, /Usage/],
    ] as const) {
      const { code, said } = await notify(t, { args: [...args], env: { ...env, ...more } })
      assert.notEqual(code, 0, said)
      assert.match(said, reason)
    }
  })
})
